"""What can go wrong, each as one act that does it, lets it last, and puts it right again."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from tests.chaos.installation import DOORS, Installation
from tests.support import disk
from tests.support.proxy import FAIR, Weather
from tests.support.waiting import eventually, paced
from watchword.local.stack import GROUPS, Child

SCALED = ("fraud", "codes", "dispatch")
FREEZE_S = (1.0, 20.0)
SKEWS_S = (600, -600)
FAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
FAKETIME_MISSING = "clocks stayed right: libfaketime is not installed (Debian and Ubuntu: apt-get install libfaketime)"


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong. `act` does it from beginning to end; it may raise where the fault could not be
    brought about."""

    kind: str
    act: Callable[[], Awaitable[None]]


class Breaker:
    """Breaks an installation; how long and how much comes from a seeded draw."""

    def __init__(self, made: Installation, draw: random.Random) -> None:
        self._made = made
        self._draw = draw

    def of_processes(self) -> list[Fault]:
        """Workers that die, stand still, come and go, or have the time wrong."""
        return [*self._processes(), *self._clocks()]

    def of_surroundings(self) -> list[Fault]:
        """Broker, database, disk, and the network to them and to the carriers."""
        return [*self._servers(), *self._network(name for name in self._made.proxies if name not in DOORS)]

    def of_doors(self) -> list[Fault]:
        """The network before the doors of platforms and carriers, and that to a carrier which keeps a connection."""
        return list(self._network(DOORS))

    def _processes(self) -> Iterator[Fault]:
        for group in GROUPS:
            yield Fault(f"kill {group}", self._killing(group))
            yield Fault(f"freeze {group}", self._freezing(group))
        for group in SCALED:
            yield Fault(f"rebalance {group}", self._rebalancing(group))

    def _servers(self) -> Iterator[Fault]:
        yield Fault("kill broker", self._kill_broker)
        yield Fault("freeze broker", self._freeze_broker)
        yield Fault("restart postgres at once", self._restart_postgres)
        yield Fault("kill postgres", self._kill_postgres)
        yield Fault("disk full", self._fill_disk)

    def _network(self, names: Iterable[str]) -> Iterator[Fault]:
        for name in names:
            yield Fault(f"cut {name}", self._cutting(name))
            yield Fault(f"half-open {name}", self._forgetting(name))
            for kind, weather in (
                ("latency", Weather(latency_ms=self._draw.uniform(50, 400))),
                ("one-way to", Weather(there=False)),
                ("one-way from", Weather(back=False)),
                ("unreachable", Weather(takes=False)),
            ):
                yield Fault(f"{kind} {name}", self._weathering(name, weather))

    def _clocks(self) -> Iterator[Fault]:
        if FAKETIME:
            for skew_s in SKEWS_S:
                yield Fault(f"clock {skew_s:+d} s", self._skewing(skew_s))

    # Processes -----------------------------------------------------------------------------------------------

    def _some(self, group: str) -> Child:
        return self._draw.choice(self._made.stack.instances(group))

    def _killing(self, group: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            await asyncio.to_thread(self._made.stack.kill, self._some(group).name)
            await paced(self._draw.uniform(0, 3))

        return kill

    def _freezing(self, group: str) -> Callable[[], Awaitable[None]]:
        async def freeze() -> None:
            process = self._some(group).process
            process.freeze()
            try:
                await paced(self._draw.uniform(*FREEZE_S))
            finally:
                process.thaw()

        return freeze

    def _rebalancing(self, group: str) -> Callable[[], Awaitable[None]]:
        async def rebalance() -> None:
            stack = self._made.stack
            for count in (2, 3, 1, 2):
                await asyncio.to_thread(stack.scale, group, count)
            await asyncio.to_thread(stack.kill, f"{group}.1")
            await asyncio.to_thread(stack.scale, group, 1)

        return rebalance

    def _skewing(self, skew_s: int) -> Callable[[], Awaitable[None]]:
        async def skew() -> None:
            """One worker lives with a wall clock of its own for a while; its monotonic clock is right. It is not forked
            from a warm process: the library must be there when the interpreter begins."""
            stack, name = self._made.stack, self._draw.choice(GROUPS)
            child, usual = stack.children[name], stack.children[name].program
            wrong = {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": f"{skew_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            child.stopped = True  # what ends now ends on purpose
            child.program = replace(usual, launch=None)
            try:
                await asyncio.to_thread(stack.restart, name, **wrong)
                await asyncio.to_thread(stack.await_ready, name)
                await paced(self._draw.uniform(5, 10))
            finally:
                child.stopped, child.program = True, usual
                await asyncio.to_thread(stack.restart, name)
            await asyncio.to_thread(stack.await_ready, name)

        return skew

    # Servers -------------------------------------------------------------------------------------------------

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._made.broker.kill)
        await paced(self._draw.uniform(0, 5))
        await self._made.back(self._made.broker)

    async def _freeze_broker(self) -> None:
        self._made.broker.freeze()
        try:
            await paced(self._draw.uniform(1, 8))
        finally:
            self._made.broker.thaw()

    async def _restart_postgres(self) -> None:
        """As `pg_ctl -m immediate restart`: no checkpoint, every connection cut, recovery from the log."""
        os.kill(self._made.database.pid, signal.SIGQUIT)
        await self._made.back(self._made.database)

    async def _kill_postgres(self) -> None:
        await asyncio.to_thread(self._made.database.kill)
        await paced(self._draw.uniform(0, 4))
        await self._made.back(self._made.database)

    async def _fill_disk(self) -> None:
        """No event can be stored: each insert into the outbox ends as on a full disk (SQLSTATE 53100)."""
        await self._execute(disk.FULL)
        try:
            await paced(self._draw.uniform(2, 6))
        finally:
            await self._execute(disk.HAS_ROOM)

    async def _execute(self, sql: str) -> None:
        async def done() -> bool:
            try:
                connection = await asyncpg.connect(self._made.dsn, timeout=5)
            except (asyncpg.PostgresError, OSError, TimeoutError):
                return False
            try:
                await connection.execute(sql, timeout=10)
            finally:
                await connection.close(timeout=5)
            return True

        await eventually(done, within_s=30, what="the database to take a statement")

    # The network ---------------------------------------------------------------------------------------------

    def _cutting(self, name: str) -> Callable[[], Awaitable[None]]:
        async def cut() -> None:
            for _ in range(self._draw.randint(1, 4)):
                self._made.proxies[name].cut(self._draw.uniform(0.2, 1.0), self._draw)
                await paced(self._draw.uniform(0, 1))

        return cut

    def _forgetting(self, name: str) -> Callable[[], Awaitable[None]]:
        async def forget() -> None:
            proxy = self._made.proxies[name]
            proxy.forget()
            try:
                await paced(self._draw.uniform(2, 10))
            finally:
                proxy.change(FAIR)

        return forget

    def _weathering(self, name: str, weather: Weather) -> Callable[[], Awaitable[None]]:
        async def spoil() -> None:
            proxy = self._made.proxies[name]
            proxy.change(weather)
            try:
                await paced(self._draw.uniform(2, 8))
            finally:
                proxy.change(FAIR)

        return spoil


def deck(faults: Sequence[Fault], draw: random.Random) -> Iterator[Fault]:
    """The faults for ever, in a new order each time round, so that each one happens before any happens twice."""
    while True:
        order = list(faults)
        draw.shuffle(order)
        yield from order
