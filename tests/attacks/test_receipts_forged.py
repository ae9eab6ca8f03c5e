"""Receipts that are forged, replayed or swapped: none of them changes what is known, and none approves anything.

Every gateway's own signature, late replays and dates ahead: tests/contract/gateways. Unsigned and stale ones at the
door: tests/pipeline/test_receipts.py and tests/journeys/test_receipt_stories.py.
"""

import asyncio
import time
from typing import Any

import orjson
import pytest

from tests.attacks.adapter import Target, signed
from tests.support.platform import fresh_number
from tests.support.records import lives
from tests.support.waiting import eventually
from watchword.local.stack import Stack

EAST, WEST = "secret-of-east", "secret-of-west"
pytestmark = pytest.mark.usefixtures("silent_carrier")


def report(client_ref: str, state: str = "delivered", **more: Any) -> bytes:
    """One report as the echo gateway writes it."""
    told = {"client_ref": client_ref, "id": "", "state": state, "code": "0", "at": "2026-01-01T00:00:00Z"}
    return orjson.dumps({"events": [told | more]})


async def sent_by_east(target: Target) -> tuple[str, str, str]:
    """A verification whose message went through east: its id, code and client_ref."""
    identity, code = await target.issued(number := fresh_number(), purpose="by-east")
    [message] = await target.phones.inbox(number)
    assert message.sender == "EAST"
    return identity, code, message.client_ref


async def known(target: Target, identity: str, receipt: str) -> None:
    """Wait until the verification's only attempt has this receipt."""

    async def there() -> bool:
        attempts = (await target.status(identity)).json["attempts"]
        return [each["receipt"] for each in attempts] == [receipt]

    await eventually(there, within_s=10, what=f"a receipt that says {receipt!r}")


async def test_forged_and_swapped_receipts_change_nothing(target: Target) -> None:
    identity, code, client_ref = await sent_by_east(target)
    body, late = report(client_ref), time.time() - 3_600
    genuine = signed(body, EAST)
    moment = genuine.partition(",")[0]
    forged = {
        "unsigned": "",
        "by another account's secret": signed(body, WEST),
        "with nothing as the secret": signed(body, ""),
        "with the account's name": signed(body, "east"),
        "an hour old": signed(body, EAST, at=late),
        "an hour ahead": signed(body, EAST, at=time.time() + 3_600),
        "its time moved": f"t={int(time.time()) + 1},{genuine.partition(',')[2]}",
        "of another body": signed(report(client_ref, "undelivered"), EAST),
        "in capitals": genuine.upper(),
        "in another order": ",".join(reversed(genuine.split(","))),
        "cut short": genuine[:-1],
        "and one more": f"{genuine},v1={'0' * 64}",
        "in other digits": genuine.replace(moment[2:], "".join(chr(0xFF10 + int(one)) for one in moment[2:])),
        "empty": f"{moment},v1=",
        "negative": signed(body, EAST, at=-time.time()),
    }
    told = await asyncio.gather(*(target.receipt("east", body, each) for each in forged.values()))
    refused = {name: each.status for name, each in zip(forged, told, strict=True) if each.status != 403}
    assert refused == {}
    assert len({each.body for each in told}) == 1, "what was wrong with it is not told"
    assert (await target.receipt("nobody", body, genuine)).status == 404
    swapped = await target.receipt("west", body, signed(body, WEST))
    assert swapped.status == 200, "truly from west: kept, and told nothing of what it meant"
    assert await target.receipt("east", genuine_marker := report(client_ref, "enroute"), signed(genuine_marker, EAST))
    await known(target, identity, "enroute")
    assert (await target.check(identity, code)).word == "approved"


@pytest.mark.attack
async def test_a_genuine_receipt_replayed_is_told_once(stack: Stack, target: Target) -> None:
    identity, _, client_ref = await sent_by_east(target)
    enroute, delivered = report(client_ref, "enroute"), report(client_ref)
    captured = [(enroute, signed(enroute, EAST)), (delivered, signed(delivered, EAST))]
    for body, signature in captured:
        assert (await target.receipt("east", body, signature)).status == 200
    await known(target, identity, "delivered")
    replays = await asyncio.gather(*(target.receipt("east", *each) for each in captured * 10))
    assert {each.status for each in replays} == {200}, "a carrier that repeats itself is answered as before"
    other_identity, _, other_ref = await sent_by_east(target)
    marker = report(other_ref)
    await target.receipt("east", marker, signed(marker, EAST))
    await known(target, other_identity, "delivered")
    told = [each.event for each in (await lives(stack.cluster))[identity]]
    assert told.count("receipt-recorded") in (1, 2), "one for each state at most"
    await known(target, identity, "delivered")


async def test_a_receipt_never_approves_and_never_ends_a_verification(target: Target) -> None:
    identity, code, client_ref = await sent_by_east(target)
    words = ["delivered", "read", "approved", "verified", "DELIVERED", "undelivered", "rejected", "expired"]
    for word in words:
        body = report(client_ref, word, result="approved", status="approved", verification_id=identity, code=code)
        assert (await target.receipt("east", body, signed(body, EAST))).status == 200
    await known(target, identity, "delivered")
    assert (await target.status(identity)).word == "pending"
    assert (await target.check(identity, code)).word == "approved"


async def test_a_receipt_of_nothing_we_sent_is_answered_like_any_other(target: Target) -> None:
    """No oracle: whoever holds an account's secret cannot ask which references exist."""
    _, _, client_ref = await sent_by_east(target)
    bodies = [report(client_ref), report("00000000-0000-5000-8000-000000000000"), report("no-uuid-at-all")]
    told = [await target.receipt("east", body, signed(body, EAST)) for body in bodies]
    assert {(each.status, each.body) for each in told} == {(200, told[0].body)}


@pytest.mark.attack
async def test_signed_garbage_stops_nobody(target: Target) -> None:
    for body in (b"", b"{", b"null", b'{"events":{}}', b'{"events":[1]}', b"\xff" * 100, b'{"events":' + b"[" * 9_000):
        assert (await target.receipt("east", body, signed(body, EAST))).status == 200, "kept for a person to look at"
    identity, _, client_ref = await sent_by_east(target)
    body = report(client_ref)
    await target.receipt("east", body, signed(body, EAST))
    await known(target, identity, "delivered")
