"""`make bench`: the figures of the performance table, printed, and written to .bench/latest.json.

Runs the whole stack on this machine, generator and carriers included. Compare CPU time, counts and ratios between
commits, not seconds: machines are noisy.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console

from tests.bench import folding, printing, processes, profiling, written
from tests.bench.database import TableUse, tables_each, totals_each
from tests.bench.figures import Report, Run, Stored, details, document
from tests.bench.load import Platform
from tests.bench.measuring import Bench, Lengths
from tests.bench.submitting import Submitter
from tests.support.stack import at_rest
from watchword.audit.gather import LedgerError
from watchword.flow import BY_NAME
from watchword.local.auditing import audited, in_words
from watchword.local.kafka import Kind
from watchword.local.process import LocalServerError
from watchword.local.stack import GROUPS, Plan, Stack
from watchword.replay.fold import TooMany
from watchword.replay.reading import READ_ERRORS

CONFIGURATION = Path(__file__).with_name("configuration.toml")
RESULTS = Path(".bench")
FULL = Lengths(warm_up_s=10, probe_s=8, run_s=20, runs=3)
QUICK = Lengths(warm_up_s=4, probe_s=4, run_s=5, runs=1)
FIRST_PER_S = 60.0
SOAK_S = 600.0
BURST_WITHIN_S = 120.0
SLACK = timedelta(seconds=5)  # between the clock of this process and that of Postgres


@dataclass
class Found:
    """What a bench found, as far as it has come."""

    runs: Sequence[Run] = ()
    full: Sequence[Run] = ()
    sustained_per_s: float = 0.0
    stored: Mapping[int, Stored] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    tables: Sequence[TableUse] = ()
    ahead: written.Written | None = None
    grown: Mapping[str, float] = field(default_factory=dict)
    fold: folding.Outcome | None = None
    burst: Run | None = None
    audit: str = ""


async def conduct(stack: Stack, options: argparse.Namespace) -> Found:
    """Every part that was asked for, in an order in which none disturbs the next, and the audit."""
    began = datetime.now(UTC) - SLACK
    found = Found()
    async with Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
        bench = Bench(stack, platform, lengths(options), say)
        await bench.warm_up()
        if options.fold:
            await folding.verified(bench, options.fold, options.rate or FIRST_PER_S)
            found.fold = await folding.compared(stack)
        else:
            await measure(stack, bench, options, found)
    if options.burst:
        async with Submitter(stack.cluster, simulator=stack.simulator_url) as submitter:
            found.burst = await burst(stack, submitter, options.burst)
    say("the audit looks at all of it")
    try:
        found.audit = in_words(await audited(stack, since=began))
    except (*READ_ERRORS, LedgerError, TooMany) as error:
        found.audit = f"broke off: {error!r}"  # what was measured is not lost with it
    return found


async def measure(stack: Stack, bench: Bench, options: argparse.Namespace, found: Found) -> None:
    """The figures, one after the other."""
    found.sustained_per_s = options.sustained or await bench.sustained(FIRST_PER_S)
    half = options.rate or max(found.sustained_per_s / 2, 1.0)
    topics = processes.topic_bytes(stack)
    began = await written.mark(stack.dsn)
    found.runs, before, after = await bench.each(half)
    ended = await written.mark(stack.dsn)
    approved = sum(run.seen.approved for run in found.runs)
    topics = processes.topic_bytes(stack) - topics
    found.totals = totals_each(before, after, approved) | {"topic_bytes": topics / max(approved, 1)}
    found.tables = list(tables_each(before, after, approved))
    found.ahead = await written.written(stack.dsn, began, ended, approved)
    found.full = await bench.measured(found.sustained_per_s or half)
    if options.profile:
        await profile(stack, bench, half, options)
    if options.soak:
        found.grown = (await bench.soaked(half, options.soak)).grown()
    found.stored = await bench.grown(options.stored, half)


async def burst(stack: Stack, submitter: Submitter, count: int) -> Run:
    """So many requests at once, as after an outage: every batch is full then, and costs what it costs at least."""
    await submitter.at_once(count // 10, drain_s=BURST_WITHIN_S)  # what comes first is dearer
    await at_rest(stack, within_s=BURST_WITHIN_S)
    pids = processes.groups(stack)
    before = processes.cpu_ms(pids)
    seen = await submitter.at_once(count, drain_s=BURST_WITHIN_S)
    await at_rest(stack, within_s=BURST_WITHIN_S)
    used = {name: after - before[name] for name, after in processes.cpu_ms(pids).items()}
    seen.approved = seen.started - seen.failed  # as far as this load goes
    return Run(count / seen.took_s, seen.took_s, seen, used, processes.resident_mib(pids))


async def profile(stack: Stack, bench: Bench, rate_per_s: float, options: argparse.Namespace) -> None:
    """A load of its own, for the profiler slows what it looks at."""
    seconds = lengths(options).run_s
    say(f"flame graphs of {seconds:g} s at {rate_per_s:g}/s")
    pids = {name: child.process.pid for name, child in stack.children.items()}
    load = asyncio.create_task(bench.load(rate_per_s, seconds + 2))
    for file in await profiling.flame_graphs(pids, RESULTS, seconds):
        say(f"written: {file}")
    await load


def doors_first(stack: Stack) -> None:
    """Whoever waits at a door, and for Postgres behind it, is served before the stages that follow; the broker, which
    serves those above all, stands in between. Weights 110 and 335 to 1024, as sched(7) has them. Raises
    LocalServerError where this machine shares its CPU in another way."""
    pids = processes.groups(stack)
    followers = [pids[name] for name, child in stack.children.items() if not _is_door(child.group)]
    try:
        processes.give_way(followers, 10)
        processes.give_way([pids["kafka"]], 5)
    except OSError as error:
        raise LocalServerError(f"--doors-first needs Linux with sched_autogroup_enabled=1: {error}") from error


def _is_door(group: str) -> bool:
    return any("public" in BY_NAME[worker].doors for worker in group.split(","))


def lengths(options: argparse.Namespace) -> Lengths:
    """How long each part takes."""
    usual = QUICK if options.quick else FULL
    return Lengths(
        warm_up_s=usual.warm_up_s,
        probe_s=options.probe_seconds or usual.probe_s,
        run_s=options.seconds or usual.run_s,
        runs=options.runs or usual.runs,
    )


def say(line: str) -> None:
    """How far it is, with the seconds since the beginning, on stderr."""
    _progress.print(f"  {time.monotonic() - _began:6.1f} s  {line}", highlight=False, soft_wrap=True)


_progress = Console(stderr=True)
_began = time.monotonic()


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for; GROWTH=1, SOAK=1 and PROFILE=1 in the environment stand for the long options."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short run, to see that everything works")
    parser.add_argument("--runs", type=int, default=0, help="measured runs; 3, or 1 with --quick")
    parser.add_argument("--seconds", type=float, default=0, help="length of a measured run; 20, or 5 with --quick")
    parser.add_argument("--probe-seconds", type=float, default=0, help="length of a run that looks for the limit")
    parser.add_argument("--sustained", type=float, default=0, help="take this as the limit instead of looking for it")
    parser.add_argument("--rate", type=float, default=0, help="verifications/s of measured runs; 0: half of the limit")
    parser.add_argument("--stored", type=int, nargs="*", help="sizes; 10000 100000, GROWTH=1 adds 1000000")
    parser.add_argument("--soak", type=float, default=0, help="seconds of load to watch memory; SOAK=1: 600")
    parser.add_argument("--profile", action="store_true", help="a flame graph of each worker; PROFILE=1")
    parser.add_argument("--fold", type=int, default=0, help="after so many verifications, fold the topics and compare")
    parser.add_argument("--kafka", type=Kind, default=Kind.AUTO, choices=list(Kind))
    parser.add_argument(
        "--burst", type=int, default=0, help="so many requests at once through Kafka, up to the carrier"
    )
    parser.add_argument("--doors-first", action="store_true", help="workers yield the CPU to doors and Postgres; Linux")
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), help="the processes, each by its workers: a,b c d")
    options = parser.parse_args(words)
    options.profile |= bool(os.environ.get("PROFILE"))
    options.soak = options.soak or (SOAK_S if os.environ.get("SOAK") else 0)
    if options.stored is None:
        options.stored = [10_000] if options.quick else [10_000, 100_000]
        options.stored += [1_000_000] if os.environ.get("GROWTH") else []
    return options


def tell(console: Console, found: Found, kafka: str, host: Mapping[str, Any]) -> None:
    """Write the figures to .bench/latest.json, what is beside them to details.json, and print both."""
    report = Report(
        found.runs, found.sustained_per_s, found.stored, found.audit, kafka, host, found.grown, found.totals, found.full
    )
    RESULTS.mkdir(exist_ok=True)
    for name, value in (("latest", document(report)), ("details", details(report))):
        (RESULTS / f"{name}.json").write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    printing.figures(console, report)
    printing.database(console, found.totals, found.tables)
    if found.ahead is not None:
        printing.log_ahead(console, found.ahead)
    printing.memory(console, found.grown)


def main() -> None:
    """Start the stack, measure, print, write, stop; exits 1 where a promise was broken or the fold differs."""
    options = arguments()
    host = processes.host()
    directory = Path(tempfile.mkdtemp(prefix="watchword-bench-"))
    plan = Plan(
        directory=directory,
        kafka=options.kafka,
        forked=options.quick,  # what is forked shares memory with its parent: quick to begin, and no figure
        configuration=CONFIGURATION,
        groups=options.groups,
    )
    stack = Stack(plan, say=say)
    try:
        stack.start()
        if options.doors_first:
            doors_first(stack)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(conduct(stack, options))
    except LocalServerError as error:
        sys.exit(f"bench: {error}\n  its logs: {directory}")
    finally:
        stack.stop()
    shutil.rmtree(directory, ignore_errors=True)
    console = Console()
    if found.runs:
        tell(console, found, stack.broker.label, host)
    if found.burst is not None:
        printing.burst(console, found.burst)
    if found.fold is not None:
        console.print(f"fold: {found.fold.told}")
    console.print(f"audit: {found.audit}", soft_wrap=True, highlight=False)
    if found.audit != "clean" or (found.fold is not None and found.fold.differs):
        sys.exit(1)


if __name__ == "__main__":
    main()
