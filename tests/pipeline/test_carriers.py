"""Waiting for an account: who goes first, for how long, and what a share of its pace has to do with it; and what its
calls, told to ear and breaker, make of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.sends import NORTH
from watchword.dispatch.awake import LOOK_EVERY_S
from watchword.dispatch.breaker import CALLS_MIN
from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.carriers import Carrier, Carriers, Leave
from watchword.dispatch.decide.facts import Health
from watchword.dispatch.hearing import MUTE_AFTER_S, WAITING_MIN
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.speaking import HttpSpeaker
from watchword.gateways.catalog import ALL, GATEWAYS
from watchword.gateways.contract import Account
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.tenancy import Route
from watchword.runtime.configuration import Configuration
from watchword.runtime.metrics import Metrics

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROUTE = Route(id="all", country="*", accounts=["north"])
FOR_EVER = float("inf")


class Applied:
    """A configuration of one account and a route to it."""

    def __init__(self, account: Account) -> None:
        self.becomes(account)

    def becomes(self, account: Account) -> None:
        self._configuration = Configuration(accounts={account.id: account}, routes=(ROUTE,))

    def current(self) -> Configuration:
        return self._configuration


@asynccontextmanager
async def carriers_of(
    account: Account,
    applied: Applied | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    metrics: Metrics | None = None,
) -> AsyncIterator[Carriers]:
    def speaking(account: Account, _: object) -> HttpSpeaker:
        return HttpSpeaker(account, GATEWAYS[account.gateway])

    carriers = Carriers(
        applied or Applied(account),
        ALL,
        speaking,
        DispatchMetrics(metrics or Metrics()),
        wait_max_s=3.0,
        known=lambda *_: (0.0, 0.0),
        monotonic=monotonic,
    )
    try:
        yield carriers
    finally:
        await carriers.stop()


async def entered_in_order(carriers: Carriers, *left_s: int) -> list[int]:
    """Messages that have so many seconds left, come in that order while somebody is in: how they go in."""
    order: list[int] = []

    async def one(seconds: int) -> None:
        leave = await carriers.enter("north", "IN", NOW + timedelta(seconds=seconds))
        assert leave is not None
        order.append(seconds)
        leave.carrier.give_back(leave, None)

    first = await carriers.enter("north", "IN", NOW)
    assert first is not None
    waiting = [asyncio.create_task(one(seconds)) for seconds in left_s]
    await asyncio.sleep(0)
    first.carrier.give_back(first, None)
    await asyncio.gather(*waiting)
    return order


async def test_whose_code_is_over_soonest_goes_first_where_room_is_short() -> None:
    async with carriers_of(replace(NORTH, inflight_max=1)) as carriers:
        carriers.share({"north": 1_000.0}, FOR_EVER)
        assert await entered_in_order(carriers, 300, 40, 120) == [40, 120, 300]


async def test_whose_code_is_over_soonest_goes_first_where_the_pace_is_short() -> None:
    async with carriers_of(replace(NORTH, inflight_max=50)) as carriers:
        carriers.share({"north": 20.0}, FOR_EVER)
        started_s = time.monotonic()
        for _ in range(5):  # what may come together has come
            await carriers.enter("north", "IN", NOW)
        assert await entered_in_order(carriers, 300, 40, 120) == [40, 120, 300]
        assert time.monotonic() - started_s >= 4 / 20


async def test_a_message_waits_for_a_share_that_comes_and_no_longer_than_it_may_for_one_that_does_not() -> None:
    async with carriers_of(NORTH) as carriers:
        waiting = asyncio.create_task(carriers.enter("north", "IN", NOW))
        await asyncio.sleep(0)
        assert not waiting.done()
        carriers.share({"north": 10.0}, FOR_EVER)
        assert await waiting is not None
        carriers.share({"north": 10.0}, time.monotonic() - 1)
        assert await carriers.enter("north", "IN", NOW, wait_max_s=0.02) is None
        north = carriers.of("north")
        assert north is not None
        assert north.idle is False and north.health("IN", time.monotonic(), 3.0) is Health.BUSY


async def test_new_terms_of_an_account_go_on_with_its_pace() -> None:
    applied = Applied(NORTH)
    async with carriers_of(NORTH, applied) as carriers:
        carriers.share({"north": 1.0}, FOR_EVER)
        assert await carriers.enter("north", "IN", NOW) is not None
        applied.becomes(replace(NORTH, sender="SHOP"))
        assert await carriers.enter("north", "IN", NOW, wait_max_s=0.02) is None


async def test_whoever_rests_lets_nobody_in() -> None:
    async with carriers_of(replace(NORTH, inflight_max=1)) as carriers:
        carriers.share({"north": 1_000.0}, FOR_EVER)
        held = await carriers.enter("north", "IN", NOW)
        waiting = asyncio.create_task(carriers.enter("north", "IN", NOW))
        await asyncio.sleep(0)
        carriers.resting.set()
        assert await waiting is None
        assert held is not None
        held.carrier.give_back(held, None)
        north = carriers.of("north")
        assert north is not None and north.idle


ACCEPTED = Outcome(OutcomeClass.ACCEPTED)
UNANSWERED = Outcome(OutcomeClass.AMBIGUOUS)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    async def go_by(self, seconds: float, carriers: Carriers) -> None:
        """So much time passes, in which the process turns."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(self.now_s + LOOK_EVERY_S, end_s)
            await carriers.look()


@dataclass(frozen=True)
class Waiting:
    """A call that was made and waits for its answer."""

    leave: Leave
    answer: "asyncio.Future[Outcome | Silence]"
    task: "asyncio.Task[Outcome | Silence]"

    async def answered(self) -> None:
        self.answer.set_result(ACCEPTED)
        await self.task
        self.leave.carrier.give_back(self.leave, ACCEPTED)

    async def timed_out(self) -> None:
        self.answer.set_result(Silence(True, "no_answer"))
        await self.task
        self.leave.carrier.give_back(self.leave, UNANSWERED)


async def called(carriers: Carriers, count: int) -> list[Waiting]:
    """So many messages of `north` under way."""
    made: list[Waiting] = []
    for _ in range(count):
        leave = await carriers.enter("north", "IN", NOW)
        assert leave is not None
        answer: asyncio.Future[Outcome | Silence] = asyncio.get_running_loop().create_future()

        async def call(gate: Gate, timeout_s: float, answer: "asyncio.Future[Outcome | Silence]" = answer) -> Any:
            return await answer

        task = asyncio.create_task(leave.carrier.call(call, Gate(lambda: "")))
        made.append(Waiting(leave, answer, task))
    await asyncio.sleep(0)
    return made


async def answered(waiting: Sequence[Waiting]) -> None:
    for each in waiting:
        await each.answered()


@asynccontextmanager
async def north(clock: Hands) -> AsyncIterator[tuple[Carriers, Carrier]]:
    """An account with room for all, on a clock that is set by hand."""
    async with carriers_of(replace(NORTH, inflight_max=50), monotonic=clock) as carriers:
        carriers.share({"north": 1_000_000.0}, FOR_EVER)
        carrier = carriers.of("north")
        assert carrier is not None
        yield carriers, carrier


async def test_the_first_call_that_times_out_while_nothing_is_heard_of_an_account_takes_it_out() -> None:
    clock = Hands()
    async with north(clock) as (carriers, carrier):
        await carriers.look()
        first, *others = await called(carriers, WAITING_MIN + 1)
        await clock.go_by(MUTE_AFTER_S, carriers)
        assert carrier.health("IN", clock(), 3.0) is Health.BUSY
        await first.timed_out()
        assert carrier.health("GB", clock(), 3.0) is Health.AWAY, "for every country"
        await answered(others)


async def test_one_that_times_out_while_others_are_answered_takes_nothing_out() -> None:
    clock = Hands()
    async with north(clock) as (carriers, carrier):
        first, second, *others = await called(carriers, WAITING_MIN + 2)
        await clock.go_by(MUTE_AFTER_S, carriers)
        await second.answered()
        await first.timed_out()
        assert carrier.health("IN", clock(), 3.0) is Health.READY
        await answered(others)


async def test_calls_that_timed_out_while_this_process_stood_still_take_nothing_out() -> None:
    clock = Hands()
    async with north(clock) as (carriers, carrier):
        await carriers.look()
        waiting = await called(carriers, CALLS_MIN + WAITING_MIN)
        clock.now_s += carrier.timeout_s + 1
        for each in waiting:
            await each.timed_out()
            assert carrier.health("IN", clock(), 3.0) is Health.READY
        first, *others = await called(carriers, WAITING_MIN + 1)
        await clock.go_by(MUTE_AFTER_S, carriers)
        await first.timed_out()
        assert carrier.health("IN", clock(), 3.0) is Health.AWAY, "what times out afterwards counts"
        await answered(others)


async def test_a_process_that_stood_still_says_so_once() -> None:
    clock, metrics = Hands(), Metrics()
    async with carriers_of(NORTH, monotonic=clock, metrics=metrics) as carriers:
        await clock.go_by(2.0, carriers)
        assert metrics.value("watchword_dispatch_pauses_total") == 0
        clock.now_s += 7.0
        await clock.go_by(2.0, carriers)
        assert metrics.value("watchword_dispatch_pauses_total") == 1
