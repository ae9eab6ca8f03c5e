"""`python -m tests.bench`: the figures of the performance table, printed and written to .bench/latest.json.

Runs the whole stack on this machine, generator and carriers included. Compare CPU time and ratios between commits,
not seconds: machines are noisy.
"""

import argparse
import asyncio
import os
import platform as machine
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench import processes
from tests.bench.load import Platform, Seen
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

console = Console(stderr=True)
OUTSIDE = ("simulator", "postgres", "kafka")
KEPT_UP = 0.97


@dataclass
class Run:
    """One load at one rate: what it saw and what every part used."""

    rate_per_s: float
    seconds: float
    seen: Seen
    cpu_ms: dict[str, float]
    rss_mib: dict[str, float]

    @property
    def kept_up(self) -> bool:
        """Whether nearly everything that was started was approved."""
        return self.seen.approved >= KEPT_UP * self.seen.started


async def one_run(stack: Stack, platform: Platform, *, rate_per_s: float, seconds: float) -> Run:
    """Load the stack once and measure it."""
    pids = processes.groups(stack)
    before = processes.cpu_ms(pids)
    seen = await platform.run(rate_per_s=rate_per_s, seconds=seconds)
    used = {name: after - before[name] for name, after in processes.cpu_ms(pids).items()}
    run = Run(rate_per_s, seconds, seen, used, processes.resident_mib(pids))
    ours = sum(ms for name, ms in used.items() if name not in OUTSIDE) / max(seen.approved, 1)
    console.print(
        f"  {rate_per_s:g}/s for {seconds:g} s: {seen.approved}/{seen.started} approved, "
        f"{ours:.2f} CPU-ms each in our processes {seen.refused or ''}"
    )
    return run


async def measure(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    """Warm up, find the rate that is sustained, then measure at half of it, several times."""
    async with Platform(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
        await one_run(stack, platform, rate_per_s=50, seconds=5)
        sustained = await sustained_rate(stack, platform, options)
        half = options.rate or max(sustained / 2, 10)
        runs = [await one_run(stack, platform, rate_per_s=half, seconds=options.seconds) for _ in range(options.runs)]
    return {"sustained_per_s": sustained, "half_per_s": half, **figures(runs)}


async def sustained_rate(stack: Stack, platform: Platform, options: argparse.Namespace) -> float:
    """The highest of the tried rates at which everything that is started is approved in time."""
    best = 0.0
    for rate in options.rates:
        run = await one_run(stack, platform, rate_per_s=rate, seconds=options.probe_seconds)
        if not run.kept_up:
            break
        best = rate
    return best


def figures(runs: list[Run]) -> dict[str, Any]:
    """Minimum, median and maximum over the runs, of everything per verification."""
    workers = [name for name in runs[0].cpu_ms if name not in OUTSIDE]

    def per(run: Run, *names: str) -> float:
        return sum(run.cpu_ms[name] for name in names) / max(run.seen.approved, 1)

    return {
        "cpu_ms": {
            "ours": {name: spread([per(run, name) for run in runs]) for name in workers},
            "ours_total": spread([per(run, *workers) for run in runs]),
            "postgres": spread([per(run, "postgres") for run in runs]),
            "kafka": spread([per(run, "kafka") for run in runs]),
            "all": spread([per(run, *workers, "postgres", "kafka") for run in runs]),
        },
        "latency_ms": {
            stage: {
                "p50": spread([quantile(getattr(run.seen, f"{stage}_ms"), 0.50) for run in runs]),
                "p99": spread([quantile(getattr(run.seen, f"{stage}_ms"), 0.99) for run in runs]),
            }
            for stage in ("accept", "carrier", "check")
        },
        "rss_mib": {name: round(max(run.rss_mib[name] for run in runs), 1) for name in workers},
        "runs": len(runs),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }


def quantile(values: list[float], part: float) -> float:
    """The value below which `part` of all lie; 0 of none."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)] if values else 0.0


def show(told: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table("figure", "min", "median", "max", title=f"{told['kafka']}, {told['half_per_s']:g} verifications/s")
    rows = {f"CPU-ms {name}": each for name, each in told["cpu_ms"]["ours"].items()}
    rows |= {f"CPU-ms {name}": told["cpu_ms"][name] for name in ("ours_total", "postgres", "kafka", "all")}
    for stage, each in told["latency_ms"].items():
        rows |= {f"{stage} {part} ms": each[part] for part in ("p50", "p99")}
    for name, each in rows.items():
        table.add_row(name, *(f"{each[part]:.2f}" for part in ("min", "median", "max")))
    Console().print(table)
    Console().print(f"sustained: {told['sustained_per_s']:g} verifications/s; resident MiB: {told['rss_mib']}")


def main() -> None:
    """Start the stack, measure, print, write, stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="measured runs")
    parser.add_argument("--seconds", type=float, default=20, help="length of a measured run")
    parser.add_argument("--rate", type=float, default=0, help="verifications/s of measured runs; 0: half of sustained")
    parser.add_argument("--rates", type=float, nargs="*", default=[100, 200, 300, 400, 500, 600, 800, 1000, 1200])
    parser.add_argument("--probe-seconds", type=float, default=8, help="length of a run that looks for the limit")
    parser.add_argument("--kafka", type=Kind, default=Kind.AUTO, choices=list(Kind))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="watchword-bench-"))
    stack = Stack(Plan(directory=directory, kafka=options.kafka), say=lambda line: console.print(f"  {line}"))
    try:
        stack.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = runner.run(measure(stack, options))
    finally:
        stack.stop()
    told |= {"kafka": stack.broker.label, "host": {"cpus": os.cpu_count(), "machine": machine.machine()}}
    file = Path(".bench/latest.json")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    show(told)


if __name__ == "__main__":
    main()
