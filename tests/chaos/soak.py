"""`python -m tests.chaos.soak`: half of what the machine carries, for long; then whether anything grew.

Memory, descriptors and tasks of every process, connections to the database and latencies are taken at rest, between
slices of load. The users of the first third come again in the others: what is kept of each (a row, the judge's nodes)
is kept once, and whatever grows on with them is a leak. It ends in the audit. Prints a table, or JSON; exits 1 where
something is not flat, somebody was not approved in time, or the audit complains.
"""

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench import processes
from tests.bench.figures import Seen
from tests.bench.load import Platform
from tests.chaos import flatness, report
from tests.chaos.flatness import Sample
from tests.support import stack as stacks
from watchword.local.auditing import CLEAN, audited, in_words
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

SLICES = 12
WARM_UP_S = 5.0
SERVERS = ("simulator", "postgres", "kafka")
CONNECTIONS = "SELECT count(*) AS count FROM pg_stat_activity WHERE application_name LIKE 'watchword-%'"
console = Console(stderr=True)


async def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Load in slices, a sample after each."""
    samples: list[Sample] = []
    lost = refused = 0
    phones = int(options.rate * options.minutes * 60 / 3)
    async with (
        stacks.running(Plan(directory=directory, kafka=Kind.APACHE)) as stack,
        Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url, phones=phones) as platform,
    ):
        await platform.run(rate_per_s=options.rate, seconds=WARM_UP_S)
        for number in range(SLICES):
            seen = await platform.run(rate_per_s=options.rate, seconds=options.minutes * 60 / SLICES)
            await stacks.at_rest(stack, within_s=120)
            refused += (turned_away := seen.refused.get("overloaded", 0))
            lost += seen.started - seen.approved - turned_away
            samples.append(await _sample(stack, seen))
            _say(number, seen, samples[-1])
        audit = in_words(await audited(stack))
    return told(samples, options, lost=lost, refused=refused, audit=audit)


async def _sample(stack: Stack, seen: Seen) -> Sample:
    workers = {name: pid for name, pid in processes.groups(stack).items() if name not in SERVERS}
    [connections] = await stacks.rows(stack, CONNECTIONS)
    tasks = {name: await stacks.values_of(stack.children[name], "watchword_runtime_tasks_size") for name in workers}
    return Sample(
        rss_mib={name: round(mib, 2) for name, mib in processes.resident_mib(workers).items()},
        descriptors={name: processes.descriptors(pid) for name, pid in workers.items()},
        tasks={name: int(value) for name, [value] in tasks.items()},
        connections=int(connections["count"]),
        latency_ms={
            stage: round(statistics.median(getattr(seen, f"{stage}_ms") or [0.0]), 2)
            for stage in ("accept", "carrier", "check")
        },
    )


def told(samples: list[Sample], options: argparse.Namespace, *, lost: int, refused: int, audit: str) -> dict[str, Any]:
    """The figures of a run, and whether they are as they should be. Who is `refused` heard 503 at once, for the machine
    was too full for a moment; who is `lost` was let in."""
    growth = flatness.growth_of_memory(samples)
    unflat = flatness.unflat(samples)
    return {
        "rate_per_s": options.rate,
        "minutes": options.minutes,
        "growth": {name: round(share, 4) for name, share in growth.items()},
        "unflat": unflat,
        "refused": refused,
        "not_approved_in_time": lost,
        "audit": audit,
        "samples": msgspec.to_builtins(samples),
        "kept": not unflat and not lost and audit == CLEAN,
    }


def show(out: Console, told: Mapping[str, Any]) -> None:
    """The outcome as a table: the first sample after warming up, the last one, and the growth in the last third."""
    table = Table("process", "MiB", "growth, last third", "descriptors", "tasks", title=f"{told['rate_per_s']:g}/s")
    first, last = told["samples"][0], told["samples"][-1]
    for name, growth in told["growth"].items():
        spans = [f"{first[what][name]} → {last[what][name]}" for what in ("rss_mib", "descriptors", "tasks")]
        table.add_row(name, spans[0], f"{growth:+.1%}", *spans[1:])
    out.print(table)
    out.print(f"connections to the database: {first['connections']} → {last['connections']}")
    out.print(f"median latencies, ms: {first['latency_ms']} → {last['latency_ms']}")
    out.print(f"refused: {told['refused']}; let in, and not approved in their slice: {told['not_approved_in_time']}")
    for line in told["unflat"]:
        out.print(f"  [bold red]✗[/] {line}")
    out.print(f"audit: {told['audit']}", soft_wrap=True, highlight=False)
    out.print("flat, nobody lost" if told["kept"] else "NOT AS IT SHOULD BE")


def _say(number: int, seen: Seen, sample: Sample) -> None:
    memory = sum(sample.rss_mib.values())
    approved = f"{seen.approved}/{seen.started} approved"
    console.print(f"  slice {number + 1} of {SLICES}: {approved}, {memory:.0f} MiB in all, {sample.latency_ms}")


def main() -> None:
    """Run once and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=30.0, help="verifications/s; half of what two cores carry")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")
    options = parser.parse_args()
    outcome = report.run_once("soak", lambda directory: run(options, directory))
    report.conclude(outcome, as_json=options.json, show=show)


if __name__ == "__main__":
    main()
