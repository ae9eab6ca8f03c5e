"""Timing: what may not be known may not be heard in how long an answer takes (ASVS 6.3.8).

Welch's t-test on trimmed samples, the classes taken in turn so that the machine's moods hit all of them alike. Found
only what shows in every one of three rounds: a busy machine makes one round look guilty, never three.
"""

import asyncio
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import pytest

from tests.attacks.adapter import Target, other_than
from tests.attacks.conftest import Aims
from tests.support.platform import fresh_number
from watchword.runtime import api_keys

ROUNDS, SAMPLES, KEPT = 3, 150, 0.8
T_MAX = 4.5  # the usual bound of leakage tests (ISO/IEC 17825)
MEANS_APART_MAX = 0.10

Ask = Callable[[], Awaitable[object]]


async def told_apart(one: Ask, other: Ask) -> bool:
    """Whether the two can be told apart by their times, in every round and by more than a tenth."""
    for _ in range(ROUNDS):
        fast, slow = await measured([one, other])
        t = welch_t(fast, slow)
        apart = abs(statistics.fmean(fast) - statistics.fmean(slow)) / statistics.fmean(fast)
        if abs(t) < T_MAX or apart < MEANS_APART_MAX:
            return False
    return True


async def measured(asks: Sequence[Ask]) -> list[list[float]]:
    """Seconds of `SAMPLES` calls of each, in an order drawn anew each time; the slowest fifth of each is dropped."""
    times: list[list[float]] = [[] for _ in asks]
    order = list(range(len(asks)))
    for _ in range(SAMPLES):
        random.shuffle(order)
        for which in order:
            began = time.perf_counter()
            await asks[which]()
            times[which].append(time.perf_counter() - began)
    return [sorted(each)[: int(SAMPLES * KEPT)] for each in times]


def welch_t(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


def test_welch_finds_a_difference_and_only_where_there_is_one() -> None:
    draw = random.Random(1)
    ones = [[draw.gauss(1.0, 0.1) for _ in range(SAMPLES)] for _ in range(2)]
    slower = [draw.gauss(1.2, 0.1) for _ in range(SAMPLES)]
    assert abs(welch_t(*ones)) < T_MAX < abs(welch_t(ones[0], slower))


@pytest.mark.attack
async def test_a_wait_three_times_as_long_is_found() -> None:
    """The measure itself could fail: a comparison that stops at the first wrong digit would be seen."""

    async def quick() -> None:
        await asyncio.to_thread(sum, range(40_000))

    async def slower() -> None:
        await asyncio.to_thread(sum, range(120_000))

    assert await told_apart(quick, slower)
    assert not await told_apart(quick, quick)


@pytest.mark.attack
async def test_how_much_of_a_code_is_right_is_not_heard(target: Target) -> None:
    """Nine right digits of ten, or none. Each guess is at a verification of its own: five would lock one."""
    started = [await asyncio.gather(*(target.issued(fresh_number()) for _ in range(25))) for _ in range(8)]
    issued = [each for some in started for each in some]
    guesses = [(identity, code) for identity, code in issued for _ in range(4)]
    near = iter(guesses[0::2] * 2)
    far = iter(guesses[1::2] * 2)

    async def nearly() -> None:
        identity, code = next(near)
        await target.check(identity, code[:-1] + other_than(code[-1]))

    async def not_at_all() -> None:
        identity, code = next(far)
        await target.check(identity, "".join(other_than(digit, 5) for digit in code))

    assert not await told_apart(nearly, not_at_all)


@pytest.mark.attack
async def test_whose_verification_it_is_is_not_heard(aims: Aims) -> None:
    """A rival's guess at an id: one of another tenant, or one that never was."""
    identity = (await aims.prey.start(fresh_number())).id
    for call in (
        lambda each: aims.rival.status(each),
        lambda each: aims.rival.check(each, "4930215555"),
        lambda each: aims.rival.resend(each),
    ):
        assert not await told_apart(lambda call=call: call(identity), lambda call=call: call(str(uuid4())))  # type: ignore[misc]


@pytest.mark.attack
async def test_whether_a_number_was_ever_asked_about_is_not_heard(aims: Aims) -> None:
    """By the simple pair, where only the number is named: one whose verification has ended, or a stranger's."""
    known, stranger = fresh_number(), fresh_number()
    begun = await aims.prey.send("POST", "/send-otp", {"mobile": known})
    await aims.prey.send("POST", f"/v1/verifications/{begun.id}/cancel", {})

    def asked(number: str) -> Awaitable[object]:
        return aims.prey.send("POST", "/verify-otp", {"mobile": number, "otp": "4930215555"})

    told = [
        await aims.prey.send("POST", "/verify-otp", {"mobile": each, "otp": "4930215555"}) for each in (known, stranger)
    ]
    assert told[0].body == told[1].body
    assert not await told_apart(lambda: asked(known), lambda: asked(stranger))


@pytest.mark.attack
async def test_whether_a_key_was_ever_ours_is_not_heard(aims: Aims) -> None:
    stranger = aims.prey.with_key(api_keys.new_key(test=True))
    assert not await told_apart(lambda: aims.expired.status("x"), lambda: stranger.status("x"))
