"""Limits under parallel bursts, and every header that promises another identity; races for one Idempotency-Key.

Exact under every split into batches: tests/laws/test_limits_exact.py. Across two processes:
tests/pipeline/test_intake_limits.py. Who is believed behind a proxy: tests/unit/runtime/test_access.py.
"""

import asyncio
from collections import Counter

import pytest

from tests.attacks.adapter import Target
from tests.attacks.conftest import Aims
from tests.attacks.test_strange_input import aliases
from tests.support.platform import fresh_number
from tests.support.waiting import eventually

BURST = 8
PER_ADDRESS = 3
SENDS_PER_10MIN = 5


def disguised(number: int) -> dict[str, str]:
    """Headers in which a proxy would tell of another client."""
    address = f"203.0.113.{number}"
    return {
        "X-Forwarded-For": f"{address}, 10.0.0.{number}",
        "Forwarded": f"for={address};proto=https",
        "X-Real-IP": address,
        "True-Client-IP": address,
        "CF-Connecting-IP": address,
        "X-Client-IP": address,
        "X-Forwarded-Host": f"{number}.example",
        "X-Forwarded-Proto": "https",
        "Via": f"1.1 proxy-{number}",
    }


async def test_a_burst_gets_what_the_bucket_holds_whatever_it_claims_to_be(aims: Aims) -> None:
    """First the address, then the tenant: 40 starts at once, each with other forwarding headers."""
    claims = ["198.51.100.7", "::ffff:198.51.100.7", "::FFFF:c633:6407", "0:0:0:0:0:ffff:198.51.100.7"]
    by_address = await asyncio.gather(
        *(
            aims.narrow.send(
                "POST", "/v1/verifications",
                {"to": fresh_number(), "signals": {"ip": claims[number % len(claims)]}}, disguised(number),
            )
            for number in range(20)
        )
    )  # fmt: skip
    admitted = sum(each.status == 202 for each in by_address)
    assert admitted == PER_ADDRESS
    assert {each.json["limit"] for each in by_address if each.status == 429} == {"ip"}
    whole = await asyncio.gather(
        *(
            aims.narrow.send("POST", "/v1/verifications", {"to": fresh_number()}, disguised(number))
            for number in range(20)
        )
    )
    admitted += sum(each.status == 202 for each in whole)
    assert BURST <= admitted <= BURST + 3, "the bucket, and what flowed in within the seconds this took"
    refused = [each for each in whole if each.status == 429]
    assert {each.json["limit"] for each in refused} == {"tenant"}
    assert all(int(each.headers["Retry-After"]) >= 1 for each in refused)


@pytest.mark.attack
async def test_addresses_of_one_customer_share_what_the_address_may(aims: Aims) -> None:
    """Whoever owns a /64 has 2^64 addresses and one budget."""

    async def next_second() -> bool:
        """The tenant's own rate lets one in a second; the address is what is asked for here."""
        told = await aims.narrow.start(fresh_number(), signals={"ip": f"2001:db8:7::{len(admitted):x}"})
        admitted.extend([1] if told.status == 202 else [])
        return told.status == 429 and told.json["limit"] == "ip"

    admitted: list[int] = []
    await eventually(next_second, within_s=15, what="a refusal by the address")
    assert len(admitted) == PER_ADDRESS


async def test_aliases_of_a_number_share_its_sends(target: Target) -> None:
    number = fresh_number()
    spellings = aliases(number)
    for send in range(SENDS_PER_10MIN):
        begun = await target.start(spellings[send])
        assert begun.status == 202, (spellings[send].count(" "), begun)
        assert (await target.send("POST", f"/v1/verifications/{begun.id}/cancel", {})).status == 200
    told = await asyncio.gather(*(target.start(each) for each in spellings))
    assert {(each.status, each.word) for each in told} == {(429, "number_limited")}


async def test_resends_at_once_send_once(target: Target) -> None:
    identity, _ = await target.issued(number := fresh_number())
    told: list[str] = []

    async def one_taken() -> bool:
        answers = await asyncio.gather(*(target.resend(identity) for _ in range(15)))
        told.extend(each.word for each in answers)
        return "pending" in told

    await eventually(one_taken, within_s=20, what="a resend to be taken")
    await target.code_on(number, seen=1)
    assert Counter(told)["pending"] == 1
    assert set(told) <= {"pending", "cooldown", "conflict"}
    assert len(await target.phones.inbox(number)) == 2


async def test_a_race_for_one_idempotency_key_is_won_once(target: Target) -> None:
    same, others = fresh_number(), [fresh_number() for _ in range(15)]
    bodies = [same] * 15 + others
    told = await asyncio.gather(*(target.start(number, repeat="one-key-for-all") for number in bodies))
    winners = {each.id for each in told if each.status == 202}
    assert len(winners) == 1
    assert {each.word for each in told if each.status != 202} <= {"idempotency_mismatch", "idempotency_in_progress"}
    messages = [len(await target.phones.inbox(number)) for number in set(bodies)]
    assert sum(messages) <= 1


@pytest.mark.attack
async def test_an_idempotency_key_is_good_for_one_operation(target: Target) -> None:
    """The same key and body at another address is another request."""
    first, second = [(await target.start(fresh_number())).id for _ in range(2)]
    told = [
        await target.send("POST", f"/v1/verifications/{identity}/resend", {}, {"Idempotency-Key": "resend-key"})
        for identity in (first, second)
    ]
    assert "Idempotency-Replayed" not in told[1].headers
    number = fresh_number()
    begun = await target.start(number, repeat="start-key")
    simple = await target.send("POST", "/send-otp", {"mobile": number}, {"Idempotency-Key": "start-key"})
    assert (begun.status, simple.status, simple.word) == (202, 422, "idempotency_mismatch")
