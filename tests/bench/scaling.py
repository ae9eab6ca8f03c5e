"""`make scale`: one worker as one, two and four processes: what comes out of a backlog, and what a rebalance costs.

The backlog waits before processes that are ready and stand still; counting begins when all of them go on at once. On a
machine with as many cores as processes what comes out a second grows with them; on a small one it shows what sharing
costs. The pause is that of users: the longest time in which no phone got a message while processes were added.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench import processes
from tests.bench.figures import Seen, quantile
from tests.bench.load import Platform
from tests.bench.submitting import Submitter
from tests.support.stack import at_rest, rows, values_of
from tests.support.waiting import paced
from watchword.local.auditing import audited, in_words
from watchword.local.kafka import Kind
from watchword.local.process import LocalServerError
from watchword.local.stack import Child, Plan, Stack

CONFIGURATION = Path(__file__).with_name("configuration.toml")
COUNTS = (1, 2, 4)
REST_WITHIN_S = 330.0  # longer than a code lives: after it nothing can be under way
DRAIN_S = 90.0
SHARED_WITHIN_S = 30.0
HELD_MAX_S = 9.0  # a member of a group that says nothing for 12 s loses its partitions
TOLD_WITHIN_S = 2.0
DONE_WITHIN_S = 120.0
LOOK_EVERY_S = 0.1
# In the order of the flow: how many of what waits for a worker have come to it, and how many it has dealt with.
_STAGES: Mapping[str, tuple[str, str]] = {
    "fraud": ("SELECT count(*) FROM verifications", "SELECT count(*) FROM verifications WHERE sends_assessed > 0"),
    "codes": (
        "SELECT count(*) FROM verifications WHERE sends_assessed > 0",
        "SELECT count(*) FROM verifications WHERE sends_issued > 0",
    ),
    "dispatch": (
        "SELECT count(*) FROM attempts",
        "SELECT count(*) FROM attempts WHERE state NOT IN ('queued', 'sending')",
    ),
    "receipts": (
        "SELECT count(*) FROM attempts WHERE state = 'accepted'",
        "SELECT count(*) FROM attempts WHERE receipt_state IS NOT NULL",
    ),
}
WORKERS = tuple(_STAGES)
_UNTOLD = "SELECT id FROM outbox"
_LATE = "SELECT count(*) FROM attempts WHERE state = 'skipped_late'"


@dataclass(frozen=True)
class Step:
    """What one number of processes showed. `per_s` is what the worker dealt with a second out of a backlog, `cpu_ms`
    what it used for each; `pause_s` and `carrier_p99_ms` are of a steady load while the processes were added."""

    processes: int
    per_s: float
    cpu_ms: float
    pause_s: float
    carrier_p99_ms: float
    late_sends: int


async def measure(stack: Stack, platform: Platform, submitter: Submitter, options: argparse.Namespace) -> list[Step]:
    """Every number of processes, one after the other."""
    await platform.run(rate_per_s=options.rate, seconds=5)
    told = []
    for count in COUNTS:
        added = await while_added(stack, platform, count, options)
        per_s, cpu_ms = await out_of_backlog(stack, submitter, count, options)
        p99_ms = quantile(added.carrier_ms, 0.99)
        told.append(Step(count, per_s, cpu_ms, pause_s(added), p99_ms, await late_sends(stack)))
    return told


async def while_added(stack: Stack, platform: Platform, count: int, options: argparse.Namespace) -> Seen:
    """A steady load during which the worker comes to `count` processes."""
    say(f"{options.worker} comes to {count} under {options.rate:g}/s")
    load = asyncio.create_task(platform.run(rate_per_s=options.rate, seconds=options.seconds, drain_s=DRAIN_S))
    await asyncio.to_thread(stack.scale, options.worker, count)
    seen = await load
    await at_rest(stack, within_s=REST_WITHIN_S)
    return seen


async def out_of_backlog(
    stack: Stack, submitter: Submitter, count: int, options: argparse.Namespace
) -> tuple[float, float]:
    """How many a second `count` processes dealt with, and the CPU milliseconds of each, from when all of them went on
    until the last of the backlog was done. Raises LocalServerError where it is not."""
    say(f"{options.backlog} wait for {count} of {options.worker}")
    _, done = _STAGES[options.worker]
    await until_shared(stack.instances(options.worker), options.worker)
    wanted = await counted(stack, done) + options.backlog
    timers = [stack.children["timers"]]
    freeze(timers)  # they would do what fraud does not come to
    children = await held_back(stack, submitter, options)
    pids = {child.name: child.process.pid for child in children}
    before, began = processes.cpu_ms(pids), time.monotonic()
    thaw(children)
    await until(stack, done, wanted, within_s=DONE_WITHIN_S, what="to be done")
    took_s = time.monotonic() - began
    await until_told(stack)
    used = sum(after - before[name] for name, after in processes.cpu_ms(pids).items())
    thaw(timers)
    await at_rest(stack, within_s=REST_WITHIN_S)
    return options.backlog / took_s, used / options.backlog


async def held_back(stack: Stack, submitter: Submitter, options: argparse.Namespace) -> Sequence[Child]:
    """The worker's processes, which stand still, and before them so many requests. Those are handed on from stage to
    stage, so that nobody stands still for as long as all of it takes. Raises LocalServerError where it takes too long.
    """
    children: Sequence[Child] = ()
    for stage, (came, _) in _STAGES.items():
        before, children = children, stack.instances(stage)
        wanted = await counted(stack, came) + options.backlog
        freeze(children)
        thaw(before)
        if not before:
            await submitter.submit(options.backlog, ("login",))
        await until(stack, came, wanted, within_s=HELD_MAX_S, what="to wait")
        await until_told(stack)
        if stage == options.worker:
            break
    return children


def freeze(children: Sequence[Child]) -> None:
    """These processes stand still; the end of a stack lets them go."""
    for child in children:
        child.process.freeze()


def thaw(children: Sequence[Child]) -> None:
    """They go on at once."""
    for child in children:
        child.process.thaw()


async def until_shared(children: Sequence[Child], worker: str) -> None:
    """Every process has partitions to read."""
    until_s = time.monotonic() + SHARED_WITHIN_S
    while True:
        read = [await values_of(child, "watchword_runtime_assigned_size", stage=worker) for child in children]
        if all(map(sum, read)):
            return
        if time.monotonic() > until_s:
            raise LocalServerError(f"not every process of {worker} had partitions within {SHARED_WITHIN_S:g} s: {read}")
        await paced(LOOK_EVERY_S)


async def until(stack: Stack, query: str, wanted: int, *, within_s: float, what: str) -> None:
    """So many have come as far as `query` says. Raises LocalServerError where they do not."""
    until_s = time.monotonic() + within_s
    while (left := wanted - await counted(stack, query)) > 0:
        if time.monotonic() > until_s:
            raise LocalServerError(f"{left} were left {what} after {within_s:g} s: this machine wants less --backlog")
        await paced(LOOK_EVERY_S)


async def until_told(stack: Stack) -> None:
    """Kafka has every event that waits in the outbox at this moment, and no worker still has to delete it."""
    left = {row["id"] for row in await rows(stack, _UNTOLD)}
    until_s = time.monotonic() + TOLD_WITHIN_S
    while left := left & {row["id"] for row in await rows(stack, _UNTOLD)}:
        if time.monotonic() > until_s:
            raise LocalServerError(f"{len(left)} events were left to be told after {TOLD_WITHIN_S:g} s")
        await paced(LOOK_EVERY_S)


async def counted(stack: Stack, query: str) -> int:
    """What a query counts now."""
    [[count]] = await rows(stack, query)
    return int(count)


async def late_sends(stack: Stack) -> int:
    """Requests that left after their deadline, and attempts that were too late to be sent, since the beginning."""
    counted = [await values_of(child, "watchword_dispatch_late_sends_total") for child in stack.instances("dispatch")]
    [[skipped]] = await rows(stack, _LATE)
    return int(sum(map(sum, counted))) + int(skipped)


def pause_s(seen: Seen) -> float:
    """The longest time between two messages, in seconds."""
    ordered = sorted(seen.carried_at)
    return max((later - earlier for earlier, later in pairwise(ordered)), default=0.0)


def say(line: str) -> None:
    """How far it is, on stderr."""
    _progress.print(f"  {time.monotonic() - _began:6.1f} s  {line}", highlight=False, soft_wrap=True)


_progress = Console(stderr=True)
_began = time.monotonic()


def show(worker: str, steps: Sequence[Step], audit: str) -> None:
    """The steps as a table."""
    names = (
        "processes",
        "each second from a backlog",
        "CPU-ms each",
        "longest pause s",
        "carrier p99 ms",
        "late sends",
    )
    table = Table(*names, title=worker)
    for step in steps:
        figures = (step.per_s, step.cpu_ms, step.pause_s, step.carrier_p99_ms)
        table.add_row(str(step.processes), *(f"{value:,.2f}" for value in figures), str(step.late_sends))
    Console().print(table)
    Console().print(f"audit: {audit}", soft_wrap=True, highlight=False)


async def conduct(stack: Stack, options: argparse.Namespace) -> tuple[list[Step], str]:
    """The steps, and the audit of all of it."""
    async with (
        Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform,
        Submitter(stack.cluster, simulator=stack.simulator_url) as submitter,
    ):
        steps = await measure(stack, platform, submitter, options)
    return steps, in_words(await audited(stack))


def main() -> None:
    """Start the stack, scale one worker, print, stop; exits 1 where the audit finds a promise broken."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--worker", choices=WORKERS, default="codes")
    parser.add_argument("--rate", type=float, default=40, help="verifications/s while processes are added")
    parser.add_argument("--seconds", type=float, default=20, help="length of that load")
    parser.add_argument("--backlog", type=int, default=1_000, help="verifications that wait for the processes")
    parser.add_argument("--kafka", type=Kind, default=Kind.APACHE, choices=list(Kind))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="watchword-scale-"))
    plan = Plan(directory=directory, kafka=options.kafka, configuration=CONFIGURATION)
    stack = Stack(plan, say=say)
    try:
        stack.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            steps, audit = runner.run(conduct(stack, options))
    except LocalServerError as error:
        sys.exit(f"scale: {error}\n  its logs: {directory}")
    finally:
        stack.stop()
    shutil.rmtree(directory, ignore_errors=True)
    show(options.worker, steps, audit)
    if audit != "clean":
        sys.exit(1)


if __name__ == "__main__":
    main()
