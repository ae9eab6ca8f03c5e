"""Posts receipts to whoever asked for them: in time, signed, again if they are not taken, and not for ever."""

import asyncio
import heapq
from itertools import count

import aiohttp

from watchword.runtime.clock import Clock
from watchword.simulator import wire
from watchword.simulator.carrier import Carrier, Door
from watchword.simulator.wire import Report

PENDING_MAX = 50_000
POST_TIMEOUT_S = 5.0
BACKOFF_S_MAX = 5.0  # with the tries there are, a receiver that is away for a minute still hears of it
LANES = 4


class Post:
    """One receipt on its way. `tried` is set after the first time it was posted, whatever came of it."""

    __slots__ = ("attempts", "door", "report", "tried")

    def __init__(self, door: Door, report: Report, tried: "asyncio.Future[None] | None" = None) -> None:
        self.door = door
        self.report = report
        self.attempts = 0
        self.tried = tried


class Counts:
    """How the receipts of one carrier fared."""

    __slots__ = ("dropped", "given_up", "posted", "retried")

    def __init__(self) -> None:
        self.posted = 0
        self.retried = 0
        self.given_up = 0
        self.dropped = 0


class Lane:
    """One line of receipts, posted one callback after the other in the order in which they are due."""

    def __init__(self, carrier: Carrier, session: aiohttp.ClientSession, clock: Clock, counts: Counts) -> None:
        self._carrier = carrier
        self._session = session
        self._clock = clock
        self._counts = counts
        self._due: list[tuple[float, int, Post]] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name=f"simulator.receipts.{carrier.name}")

    @property
    def pending(self) -> int:
        """Receipts that wait for their time or for another try."""
        return len(self._due)

    async def stop(self) -> None:
        """End at once; what waits is forgotten."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=POST_TIMEOUT_S)

    def add(self, post: Post, delay_ms: float) -> None:
        """Have a receipt posted after so many milliseconds. Where too many wait, the next one due is dropped."""
        entry = (self._loop.time() + delay_ms / 1_000, next(self._order), post)
        if len(self._due) >= PENDING_MAX:
            _settle(heapq.heappushpop(self._due, entry)[2])
            self._counts.dropped += 1
        else:
            heapq.heappush(self._due, entry)
        if self._due[0] is entry:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wait()
            batch = self._take()
            if batch:
                await self._post(batch)

    async def _wait(self) -> None:
        self._wake.clear()
        timer = None
        if self._due:
            if self._due[0][0] <= self._loop.time():
                return
            timer = self._loop.call_at(self._due[0][0], self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _take(self) -> list[Post]:
        """What is due and fits into one callback: many for echo, one for blind."""
        batch: list[Post] = []
        now_s, batch_max = self._loop.time(), self._carrier.behaviour.receipt_batch_max
        while self._due and self._due[0][0] <= now_s and len(batch) < batch_max:
            if batch and Door.BLIND in (batch[0].door, self._due[0][2].door):
                break
            batch.append(heapq.heappop(self._due)[2])
        return batch

    async def _post(self, batch: list[Post]) -> None:
        taken = await self._call([post.report for post in batch], batch[0].door)
        for post in batch:
            _settle(post)
            post.attempts += 1
            if taken:
                self._carrier.ledger.report(post.report.client_ref, post.report.state)
            else:
                self._again(post)
        self._counts.posted += len(batch) if taken else 0

    async def _call(self, reports: list[Report], door: Door) -> bool:
        """Whether the receiver took them."""
        behaviour, url = self._carrier.behaviour, self._carrier.receipt_url(door)
        if door is Door.ECHO:
            body, headers = wire.echo_receipts(reports, behaviour.receipt_secret, self._clock.now())
        else:
            body, headers = wire.blind_receipt(reports[0], behaviour.receipt_secret)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return False

    def _again(self, post: Post) -> None:
        behaviour = self._carrier.behaviour
        if post.attempts >= behaviour.receipt_attempts_max:
            self._counts.given_up += 1
            return
        self._counts.retried += 1
        wait_ms = behaviour.receipt_backoff_ms * 2 ** min(post.attempts - 1, 20)
        self.add(post, min(wait_ms, BACKOFF_S_MAX * 1_000))


def _settle(post: Post) -> None:
    if post.tried is not None and not post.tried.done():
        post.tried.set_result(None)


class Receipts:
    """The receipts of one carrier: messages are dealt to lanes in turn, so that those of one message keep their
    order while a slow receiver does not hold up the others."""

    def __init__(self, carrier: Carrier, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.counts = Counts()
        self._lanes = [Lane(carrier, session, clock, self.counts) for _ in range(LANES)]
        self._turn = count()

    @property
    def pending(self) -> int:
        """Receipts that wait for their time or for another try."""
        return sum(lane.pending for lane in self._lanes)

    def add(self, reports: tuple[tuple[float, Report], ...], door: Door) -> "asyncio.Future[None]":
        """Have the reports of one message posted; the future is done when the last has been tried once."""
        tried = asyncio.get_running_loop().create_future()
        lane = self._lanes[next(self._turn) % LANES]
        for place, (delay_ms, report) in enumerate(reports, 1):
            lane.add(Post(door, report, tried if place == len(reports) else None), delay_ms)
        return tried

    async def stop(self) -> None:
        """End every lane at once."""
        await asyncio.gather(*(lane.stop() for lane in self._lanes))
