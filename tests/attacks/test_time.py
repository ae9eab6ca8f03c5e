"""Time: a code is good until it expires and not a moment longer, whatever the caller says of the time."""

import asyncio

import pytest

from tests.attacks.adapter import Target
from tests.attacks.test_guessing import resent
from tests.support.platform import fresh_number
from tests.support.waiting import eventually


async def test_nobody_asks_for_a_longer_life_than_the_policy_gives(target: Target) -> None:
    lives = [301, 600, 601, 3_600, 86_400, 86_401, 2**31, 2**63, 10**400, 0, -1, 119]
    told = await asyncio.gather(*(target.start(fresh_number(), ttl_s=life) for life in lives))
    assert {each.status for each in told} <= {400, 422}
    assert {each.word for each in told} <= {"malformed_body", "malformed_json", "policy_bounds"}


async def test_a_resend_moves_no_expiry(target: Target) -> None:
    identity, _ = await target.issued(fresh_number())
    before = (await target.status(identity)).json["expires_at"]
    await resent(target, identity)
    assert (await target.status(identity)).json["expires_at"] == before


async def test_headers_that_tell_another_time_are_not_believed(target: Target) -> None:
    identity, code = await target.issued(fresh_number())
    headers = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "X-Request-Start": "0", "If-Unmodified-Since": "0"}
    told = await target.send("POST", f"/v1/verifications/{identity}/check", {"code": code}, headers)
    assert told.word == "approved"


@pytest.mark.attack
async def test_the_right_code_is_no_use_once_its_time_is_over(target: Target) -> None:
    """The brief policy: 31 seconds, to the answer, by the database's clock."""
    identity, code = await target.issued(number := fresh_number(), policy="brief")

    async def over() -> bool:
        return (await target.status(identity)).word == "expired"

    await eventually(over, within_s=60, what="the expiry")
    told = [await target.check(identity, code) for _ in range(3)]
    assert [each.json for each in told] == [{"result": "expired", "checks_left": 0}] * 3
    assert (await target.resend(identity)).word == "ended"
    begun, _ = await target.issued(number, policy="brief")
    assert (await target.check(begun, code)).word == "wrong", "the next code is another one"
