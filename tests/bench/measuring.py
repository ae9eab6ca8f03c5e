"""A stack under loads, and what every part of it used meanwhile."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench import processes
from tests.bench.database import Counts, blocks_each, counts
from tests.bench.figures import Run, Stored, spread
from tests.bench.load import Platform
from tests.bench.search import Search
from tests.bench.stored import Store
from tests.support.stack import at_rest
from tests.support.waiting import paced
from watchword.local.process import LocalServerError
from watchword.local.stack import Stack

WARM_UP_PER_S = 40.0
REST_WITHIN_S = 330.0  # longer than a code lives: after it nothing can be under way
COUNTED_WITHIN_S = 1.5  # a backend hands its counters over a second after its last transaction
LOOK_AT_MEMORY_EVERY_S = 5.0
IDLE_S = 5.0


@dataclass(frozen=True)
class Lengths:
    """How long each part takes, in seconds, and how often what is measured is repeated."""

    warm_up_s: float
    probe_s: float
    run_s: float
    runs: int


@dataclass
class Soak:
    """Resident MiB of each worker over a long load, one value every few seconds."""

    rss_mib: dict[str, list[float]] = field(default_factory=dict)

    def grown(self) -> Mapping[str, float]:
        """By what share each worker is larger at the end than half way, taking the mean of a tenth of the values
        before each moment."""
        return {
            name: _around(seen, len(seen)) / _around(seen, len(seen) // 2) - 1 for name, seen in self.rss_mib.items()
        }


class Bench:
    """Loads one stack again and again. `say` tells how far it is."""

    def __init__(self, stack: Stack, platform: Platform, lengths: Lengths, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._platform = platform
        self._lengths = lengths
        self._say = say

    async def warm_up(self, rate_per_s: float = WARM_UP_PER_S) -> None:
        """What comes first is dearer: plans are made, Java compiles, pools fill."""
        self._say("warming up")
        await self.load(rate_per_s, self._lengths.warm_up_s)

    async def load(self, rate_per_s: float, seconds: float) -> Run:
        """One load from rest to rest. Raises LocalServerError if a process ended meanwhile."""
        pids = processes.groups(self._stack)
        before = processes.cpu_ms(pids)
        seen = await self._platform.run(rate_per_s=rate_per_s, seconds=seconds)
        self._check_alive()
        used = {name: after - before[name] for name, after in processes.cpu_ms(pids).items()}
        run = Run(rate_per_s, seconds, seen, used, processes.resident_mib(pids))
        self._say(
            f"{rate_per_s:g}/s for {seconds:g} s: {seen.approved} of {seen.started} approved, {seen.unfinished} under "
            f"way in the end, {run.ours_ms:.2f} CPU-ms each in our processes {seen.refused or ''}".rstrip()
        )
        await at_rest(self._stack, within_s=REST_WITHIN_S)
        return run

    async def sustained(self, first_per_s: float) -> float:
        """The highest rate that is kept up, 0 for none. A rate counts as too much when it was twice."""
        search = Search(first_per_s)
        while not search.done:
            self._say(f"is {search.rate_per_s:g}/s sustained?")
            search.judged(await self._keeps_up(search.rate_per_s) or await self._keeps_up(search.rate_per_s))
        return search.best_per_s

    async def _keeps_up(self, rate_per_s: float) -> bool:
        return (await self.load(rate_per_s, self._lengths.probe_s)).kept_up

    async def measured(self, rate_per_s: float) -> list[Run]:
        """The runs that figures are made of."""
        return [await self.load(rate_per_s, self._lengths.run_s) for _ in range(self._lengths.runs)]

    async def counted(self) -> Counts:
        """What Postgres has counted, once every backend has handed its own over."""
        await paced(COUNTED_WITHIN_S)
        return await counts(self._stack.dsn)

    async def each(self, rate_per_s: float) -> tuple[list[Run], Counts, Counts]:
        """Measured runs, and what Postgres had counted before and after them."""
        before = await self.counted()
        runs = await self.measured(rate_per_s)
        return runs, before, await self.counted()

    async def grown(self, sizes: Sequence[int], rate_per_s: float) -> dict[int, Stored]:
        """What one verification costs with each of `sizes` stored."""
        told = {}
        store = Store(self._stack.dsn, most=max(sizes, default=1), say=self._say)
        for size in sorted(sizes):
            await store.grow(size)
            await self.load(rate_per_s, self._lengths.warm_up_s)
            still = await self.counted()
            await paced(IDLE_S)
            idle = (still, await self.counted())
            runs, *busy = await self.each(rate_per_s)
            blocks = blocks_each(idle, (busy[0], busy[1]), sum(run.seen.approved for run in runs))
            told[size] = Stored(spread([run.all_ms for run in runs]), round(blocks, 1))
        return told

    async def soaked(self, rate_per_s: float, seconds: float) -> Soak:
        """A long load, and the memory of every worker meanwhile."""
        self._say(f"{rate_per_s:g}/s for {seconds / 60:g} minutes, for the memory of each worker")
        soak = Soak()
        pids = {name: child.process.pid for name, child in self._stack.children.items()}
        load = asyncio.create_task(self.load(rate_per_s, seconds))
        until = time.monotonic() + seconds
        while time.monotonic() < until and not load.done():
            for name, mib in processes.resident_mib(pids).items():
                soak.rss_mib.setdefault(name, []).append(mib)
            await paced(LOOK_AT_MEMORY_EVERY_S)
        await load
        return soak

    def _check_alive(self) -> None:
        for child in self._stack.children.values():
            if child.process.exit_code is not None:
                raise LocalServerError(f"{child.name} ended.\n{child.process.log_tail()}")


def _around(seen: Sequence[float], end: int) -> float:
    """The mean of the tenth of the values that lies before `end`."""
    tenth = seen[max(end - max(len(seen) // 10, 1), 0) : end] or seen[:1]
    return sum(tenth) / len(tenth)
