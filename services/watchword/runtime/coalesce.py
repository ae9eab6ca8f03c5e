"""Requests that arrive together share one transaction.

A lone request goes at once; under load a batch holds whatever came since the last one began, which is as long as that
took to be written, and at least the pace.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from watchword.runtime.pace import Pace

T = TypeVar("T")
R = TypeVar("R")


class Overloaded(Exception):
    """More is waiting than may wait: answer 503 and let the caller come back."""


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    keys: frozenset[Hashable]
    answer: "asyncio.Future[R]"
    until_s: float


class Coalescer(Generic[T, R]):
    """Gathers items into batches for `flush`, which answers one result an item, in order.

    Two items that share one of `keys(item)` never share a batch, so each sees what the other did. An exception of
    `isolates` in a batch is taken apart: every item is tried alone, and only the guilty one gets it.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        keys: Callable[[T], Iterable[Hashable]],
        batch_max: int = 200,
        waiting_max: int = 5_000,
        isolates: tuple[type[Exception], ...] = (),
        every_s: float = 0.0,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`every_s` is how close to each other batches may begin."""
        self._flush = flush
        self._keys = keys
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._isolates = isolates
        self._observe = observe
        self._pace = Pace(every_s)
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._batch: list[_Waiting[T, R]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at_s = inf
        self._passed_over = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to flush."""
        self._task = asyncio.create_task(self._run(), name="coalescer")

    async def stop(self) -> None:
        """Flush all that waits, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._alarm is not None:
            self._alarm.cancel()

    async def submit(self, item: T, *, deadline_s: float) -> R:
        """The answer to `item`. Raises Overloaded, TimeoutError past `deadline_s`, or what `flush` raised."""
        if self._stopping or len(self._waiting) >= self._waiting_max:
            raise Overloaded("too many requests are waiting")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        until_s = loop.time() + deadline_s
        self._waiting.append(_Waiting(item, frozenset(self._keys(item)), answer, until_s))
        self._wake.set()
        if until_s < self._rings_at_s:
            self._set_alarm(until_s)
        return await answer

    def _set_alarm(self, at_s: float) -> None:
        """One timer for all: nearly everybody is answered long before a deadline."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(at_s, self._ring)
        self._rings_at_s = at_s

    def _ring(self) -> None:
        """Let go of those whose time is over, and be woken for the next one."""
        self._alarm, self._rings_at_s = None, inf
        now_s = asyncio.get_running_loop().time()
        left = [each for each in (*self._batch, *self._waiting) if not each.answer.done()]
        _fail((each for each in left if each.until_s <= now_s), TimeoutError())
        if later := [each.until_s for each in left if each.until_s > now_s]:
            self._set_alarm(min(later))

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._stopping and not self._passed_over and (rest_s := self._pace.rest_s()):
                await asyncio.sleep(rest_s)
            self._pace.begin()
            self._batch = self._take()
            if self._batch:
                await self._answer(self._batch)
                self._batch = []
                self._pace.end()

    def _take(self) -> list[_Waiting[T, R]]:
        """The oldest items that may share a batch; the others keep their place in line."""
        batch: list[_Waiting[T, R]] = []
        passed: list[_Waiting[T, R]] = []
        taken: set[Hashable] = set()
        while self._waiting and len(batch) < self._batch_max:
            waiting = self._waiting.popleft()
            if waiting.answer.done():
                continue
            if taken.isdisjoint(waiting.keys):
                batch.append(waiting)
            else:
                passed.append(waiting)
            taken |= waiting.keys
        self._waiting.extendleft(reversed(passed))
        self._passed_over = bool(passed)  # they have waited for one turn already; a rest would not make theirs larger
        return batch

    async def _answer(self, batch: list[_Waiting[T, R]]) -> None:
        self._observe(len(batch))
        try:
            results = await self._flush([waiting.item for waiting in batch])
        except self._isolates as error:
            await self._isolate(batch, error)
        except Exception as error:  # noqa: BLE001 - every waiting request must hear of it
            _fail(batch, error)
        else:
            _deliver(batch, results)

    async def _isolate(self, batch: list[_Waiting[T, R]], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch, error)
            return
        for waiting in batch:
            await self._answer([waiting])


def _deliver(batch: Iterable[_Waiting[T, R]], results: Iterable[R]) -> None:
    for waiting, result in zip(batch, results, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(result)


def _fail(batch: Iterable[_Waiting[T, R]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
