"""Guessing: in parallel, across resends, across paths, across numbers. Nobody gets more tries than are written down.

In sequence: tests/journeys/test_guesser_is_locked_out.py. 200 at a time, and with the right code among them:
tests/pipeline/test_checks.py and tests/contract/stores/test_checks_store.py.
"""

import asyncio
from collections import Counter

import pytest

from tests.attacks.adapter import Target, other_than
from tests.attacks.conftest import Aims
from tests.support.platform import fresh_number
from tests.support.waiting import eventually

CHECKS_MAX = 5
WRONG_PER_HOUR = 10
EXCESS_PER_HOUR = 6


async def test_guesses_at_once_are_counted_one_by_one(target: Target) -> None:
    identity, code = await target.issued(fresh_number())
    told = await asyncio.gather(*(target.check(identity, other_than(code, by)) for by in range(1, 41)))
    assert Counter(each.word for each in told) == {"wrong": CHECKS_MAX - 1, "locked": 41 - CHECKS_MAX}
    assert sorted(each.json["checks_left"] for each in told if each.word == "wrong") == [1, 2, 3, 4]
    assert (await target.check(identity, code)).word == "locked"


async def test_a_resend_gives_no_guess_back(target: Target) -> None:
    for policy in ("default", "rotating"):
        identity, code = await target.issued(number := fresh_number(), policy=policy)
        told = [(await target.check(identity, other_than(code))).word for _ in range(3)]
        await resent(target, identity)
        newest = await target.code_on(number, seen=1)
        told += [(await target.check(identity, other_than(newest))).word for _ in range(2)]
        assert told == ["wrong"] * 4 + ["locked"], policy
        assert (await target.check(identity, newest)).word == "locked", policy


async def resent(target: Target, identity: str) -> None:
    """Ask for the code again as soon as the gap is over."""

    async def taken() -> bool:
        return (await target.resend(identity)).status == 202

    await eventually(taken, within_s=20, what="a resend to be taken")


async def test_the_simple_pair_and_the_api_count_the_same_guesses(target: Target) -> None:
    """One verification by two paths: neither is a way around the other."""
    number = fresh_number()
    begun = await target.send("POST", "/send-otp", {"mobile": number})
    code = await target.code_on(number)
    wrong = other_than(code)
    simple = {"mobile": number, "otp": wrong}
    told = [
        await target.check(begun.id, wrong),
        await target.send("POST", "/verify-otp", simple),
        await target.check(begun.id, wrong),
        await target.send("POST", "/verify-otp", simple),
        await target.check(begun.id, wrong),
    ]
    assert [each.json["checks_left"] for each in told] == [4, 3, 2, 1, 0]
    last = await target.send("POST", "/verify-otp", {"mobile": number, "otp": code})
    assert last.json == {"verified": False, "result": "locked", "checks_left": 0}


@pytest.mark.attack
async def test_a_cancelled_and_begun_verification_brings_no_new_guesses(target: Target) -> None:
    number, wrong = fresh_number(), 0
    for _ in range(4):
        identity, code = await target.issued(number)
        while (told := await target.check(identity, other_than(code))).word == "wrong":
            wrong += 1
            if wrong % (CHECKS_MAX - 1) == 0:
                break
        if told.word != "wrong":
            break
        await target.send("POST", f"/v1/verifications/{identity}/cancel", {})
    assert (wrong, told.word) == (WRONG_PER_HOUR, "number_limited")


@pytest.mark.attack
async def test_a_number_out_of_guesses_stays_so_whatever_the_spelling(target: Target) -> None:
    number = fresh_number()
    identity, code = await target.issued(number, purpose="default")
    wrong, left = other_than(code), WRONG_PER_HOUR
    while left:
        told = await target.check(identity, wrong)
        left -= 1
        if told.word == "locked" and left:
            identity, code = await target.issued(number, purpose="default")
            wrong = other_than(code)
    identity, code = await target.issued(number, purpose="default")
    national = number.removeprefix("+91")
    for spelling in (number, national, f"0{national}", f"0091{national}", f"+91 {national[:5]}-{national[5:]}"):
        told = await target.send("POST", "/verify-otp", {"mobile": spelling, "otp": code})
        assert (told.status, told.word) == (429, "number_limited"), "even the right code, which is not looked at"


async def test_one_guess_at_each_of_many_numbers_is_stopped_where_the_tenant_enforces(aims: Aims) -> None:
    """A sprayer never tries one number twice; what gives him away is that nobody is ever right."""
    attempts = await asyncio.gather(*(aims.warded.issued(fresh_number()) for _ in range(EXCESS_PER_HOUR + 4)))
    told = [(await aims.warded.check(identity, other_than(code))).word for identity, code in attempts]
    assert told == ["wrong"] * EXCESS_PER_HOUR + ["number_limited"] * 4
    identity, code = await aims.prey.issued(fresh_number())
    assert (await aims.prey.check(identity, code)).word == "approved", "another tenant is not concerned"


@pytest.mark.attack
async def test_what_one_tenant_guesses_costs_the_same_number_of_another_nothing(aims: Aims) -> None:
    number = fresh_number()
    for _ in range(2):
        identity, code = await aims.rival.issued(number)
        await asyncio.gather(*(aims.rival.check(identity, other_than(code)) for _ in range(CHECKS_MAX)))
    identity, code = await aims.prey.issued(number)
    assert (await aims.prey.check(identity, code)).word == "approved"


@pytest.mark.attack
async def test_hundreds_of_guesses_at_once_are_no_more_than_five(target: Target) -> None:
    """The right code among them. Who comes too late in the crowd is told to come again, and got nothing."""
    identity, code = await target.issued(fresh_number(), policy="open")
    guesses = [other_than(code, by) for by in range(1, 301)]
    guesses[150:150] = [code] * 10
    told = Counter(each.word for each in await asyncio.gather(*(target.check(identity, one) for one in guesses)))
    assert told["wrong"] + told["approved"] <= CHECKS_MAX
    assert told["approved"] <= 1
    assert set(told) <= {"wrong", "approved", "locked", "used", "unavailable"}
