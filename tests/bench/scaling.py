"""`make scale`: one worker as one, two and four processes: what comes out of a backlog, and what a rebalance costs.

On a machine with as many cores as processes the first figure grows with them; on a small one it shows what sharing
costs. The pause is that of users: the longest time in which no phone got a message while processes were added.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench import processes
from tests.bench.figures import Seen, quantile
from tests.bench.load import Platform
from tests.support.stack import at_rest, rows, values_of
from watchword.local.auditing import audited, in_words
from watchword.local.kafka import Kind
from watchword.local.process import LocalServerError
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).with_name("configuration.toml")
WORKERS = ("fraud", "codes", "dispatch", "receipts")
COUNTS = (1, 2, 4)
REST_WITHIN_S = 330.0  # longer than a code lives: after it nothing can be under way
DRAIN_S = 90.0
MIDDLE = (0.1, 0.9)  # of a backlog: the first waits for a process to begin, the last for the end of its tail
_LATE = "SELECT count(*) FROM attempts WHERE state = 'skipped_late'"


@dataclass(frozen=True)
class Step:
    """What one number of processes showed. `per_s` are messages a second out of a backlog, `cpu_ms` what the worker
    used for each; `pause_s` and `worst_ms` are of a steady load while the processes were added."""

    processes: int
    per_s: float
    cpu_ms: float
    pause_s: float
    carrier_p99_ms: float
    late_sends: int


async def measure(stack: Stack, platform: Platform, options: argparse.Namespace) -> list[Step]:
    """Every number of processes, one after the other."""
    await platform.run(rate_per_s=options.rate, seconds=5)
    told = []
    for count in COUNTS:
        added = await while_added(stack, platform, count, options)
        step = await out_of_backlog(stack, platform, count, options)
        late = await late_sends(stack)
        told.append(
            replace(step, pause_s=pause_s(added), carrier_p99_ms=quantile(added.carrier_ms, 0.99), late_sends=late)
        )
    return told


async def while_added(stack: Stack, platform: Platform, count: int, options: argparse.Namespace) -> Seen:
    """A steady load during which the worker comes to `count` processes."""
    say(f"{options.worker} comes to {count} under {options.rate:g}/s")
    load = asyncio.create_task(platform.run(rate_per_s=options.rate, seconds=options.seconds, drain_s=DRAIN_S))
    await asyncio.to_thread(stack.scale, options.worker, count)
    seen = await load
    await at_rest(stack, within_s=REST_WITHIN_S)
    return seen


async def out_of_backlog(stack: Stack, platform: Platform, count: int, options: argparse.Namespace) -> Step:
    """Nobody does the worker's work while requests come in; then `count` processes begin at once."""
    say(f"{options.backlog} wait for {count} of {options.worker}")
    await asyncio.to_thread(stack.scale, options.worker, 0)
    seconds = options.backlog / options.rate
    load = asyncio.create_task(platform.run(rate_per_s=options.rate, seconds=seconds, drain_s=DRAIN_S))
    while platform.seen.started < options.backlog and not load.done():
        await asyncio.wait({load}, timeout=0.2)
    await asyncio.to_thread(stack.scale, options.worker, count)
    pids = {child.name: child.process.pid for child in stack.instances(options.worker)}
    before = processes.cpu_ms(pids)
    seen = await load
    used = sum(after - before[name] for name, after in processes.cpu_ms(pids).items())
    await at_rest(stack, within_s=REST_WITHIN_S)
    return Step(count, rate_of(seen.carried_at), used / max(len(seen.carried_at), 1), 0.0, 0.0, 0)


async def late_sends(stack: Stack) -> int:
    """Requests that left after their deadline, and attempts that were too late to be sent, since the beginning."""
    counted = [await values_of(child, "watchword_dispatch_late_sends_total") for child in stack.instances("dispatch")]
    [[skipped]] = await rows(stack, _LATE)
    return int(sum(map(sum, counted))) + int(skipped)


def rate_of(moments: Sequence[float]) -> float:
    """How many a second, of the middle of those that came."""
    ordered = sorted(moments)
    first, last = (int(len(ordered) * part) for part in MIDDLE)
    if last - first < 2:
        return 0.0
    return (last - first) / max(ordered[last] - ordered[first], 1e-3)


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
    names = ("processes", "messages/s from a backlog", "CPU-ms each", "longest pause s", "carrier p99 ms", "late sends")
    table = Table(*names, title=worker)
    for step in steps:
        figures = (step.per_s, step.cpu_ms, step.pause_s, step.carrier_p99_ms)
        table.add_row(str(step.processes), *(f"{value:,.2f}" for value in figures), str(step.late_sends))
    Console().print(table)
    Console().print(f"audit: {audit}", soft_wrap=True, highlight=False)


async def conduct(stack: Stack, options: argparse.Namespace) -> tuple[list[Step], str]:
    """The steps, and the audit of all of it."""
    async with Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
        steps = await measure(stack, platform, options)
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
