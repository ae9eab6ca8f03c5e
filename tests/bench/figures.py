"""From runs to the figures of the performance table. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

OUTSIDE = ("simulator", "postgres", "kafka")
STAGES = ("accept", "carrier", "check")
KEPT_UP = 0.97
BEHIND_MAX_S = 1.0
ALWAYS_TOLD = (10_000, 1_000_000)


@dataclass
class Seen:
    """What a load saw. Latencies in milliseconds, those to the carrier by purpose too; `carried_at` are the seconds
    since 1970 at which phones got their messages; `unfinished` were under way when the last request left, `took_s` is
    how long it took to let all of them leave."""

    accept_ms: list[float] = field(default_factory=list)
    carrier_ms: list[float] = field(default_factory=list)
    check_ms: list[float] = field(default_factory=list)
    carrier_ms_of: dict[str, list[float]] = field(default_factory=dict)
    carried_at: list[float] = field(default_factory=list)
    started: int = 0
    approved: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    unfinished: int = 0
    took_s: float = 0.0

    def carried(self, purpose: str, at: float, *, since: float) -> None:
        """A carrier has a message at `at` that was asked for at `since`, both in seconds since 1970."""
        took_ms = max(at - since, 0) * 1000
        self.carried_at.append(at)
        self.carrier_ms.append(took_ms)
        self.carrier_ms_of.setdefault(purpose, []).append(took_ms)


@dataclass(frozen=True)
class Run:
    """One load at one rate: what it saw and what every part used, simulator, Postgres and Kafka included."""

    rate_per_s: float
    seconds: float
    seen: Seen
    cpu_ms: Mapping[str, float]
    rss_mib: Mapping[str, float]

    @property
    def workers(self) -> tuple[str, ...]:
        """Our own processes."""
        return tuple(name for name in self.cpu_ms if name not in OUTSIDE)

    @property
    def kept_up(self) -> bool:
        """Whether requests left at their time, nearly all were approved, and none piled up: what was under way in the
        end is no more than what leaves in a second."""
        seen = self.seen
        on_time = seen.took_s <= self.seconds / KEPT_UP
        return (
            on_time
            and seen.approved >= KEPT_UP * seen.started
            and seen.unfinished <= max(self.rate_per_s * BEHIND_MAX_S, 1)
        )

    def cpu_ms_each(self, *names: str) -> float:
        """CPU milliseconds that these parts used for one approved verification."""
        return sum(self.cpu_ms[name] for name in names) / max(self.seen.approved, 1)

    @property
    def ours_ms(self) -> float:
        """CPU milliseconds of our processes for one verification."""
        return self.cpu_ms_each(*self.workers)

    @property
    def all_ms(self) -> float:
        """The same with Postgres and Kafka."""
        return self.cpu_ms_each(*self.workers, "postgres", "kafka")


@dataclass(frozen=True)
class Spread:
    """A figure over several runs."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Stored:
    """What one verification cost while many were stored: CPU-ms, Postgres and Kafka included, and how many blocks
    Postgres touched for it, which no noise moves."""

    cpu_ms: Spread
    blocks: float


@dataclass(frozen=True)
class Report:
    """Everything a bench found. `stored` is by how many verifications the database held; `grown` how much larger each
    worker became in the second half of a long load, as a share; `each` counts what one verification makes Postgres and
    Kafka write; `full` are runs at the rate that is just sustained, where batches are as large as they get."""

    runs: Sequence[Run]
    sustained_per_s: float
    stored: Mapping[int, Stored]
    audit: str
    kafka: str
    host: Mapping[str, Any]
    grown: Mapping[str, float] = field(default_factory=dict)
    each: Mapping[str, float] = field(default_factory=dict)
    full: Sequence[Run] = ()


def spread(values: Sequence[float]) -> Spread:
    """Minimum, median and maximum. Raises ValueError for no values."""
    return Spread(round(min(values), 3), round(statistics.median(values), 3), round(max(values), 3))


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of all lie; 0 of none."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)] if values else 0.0


def latency(runs: Sequence[Run], stage: str, part: float) -> Spread:
    """One quantile of one stage, over the runs."""
    return spread([quantile(getattr(run.seen, f"{stage}_ms"), part) for run in runs])


def document(report: Report) -> dict[str, Any]:
    """What is written to .bench/latest.json: of several runs the median, None for what was not measured."""
    runs = report.runs
    workers = runs[0].workers
    return {
        "cpu_ms": _costs(runs),
        "cpu_ms_at_limit": _costs(report.full) if report.full else None,
        "sustained_per_s": report.sustained_per_s,
        "latency_ms": {
            stage: {"p50": latency(runs, stage, 0.50).median, "p99": latency(runs, stage, 0.99).median}
            for stage in STAGES
        },
        "rss_mib": {name: round(max(run.rss_mib[name] for run in runs), 1) for name in workers},
        "growth": {
            f"stored_{short(count)}": report.stored[count].cpu_ms.median if count in report.stored else None
            for count in sorted({*ALWAYS_TOLD, *report.stored})
        },
        "audit": report.audit,
        "runs": len(runs),
        "kafka": report.kafka,
        "host": dict(report.host),
    }


def _costs(runs: Sequence[Run]) -> dict[str, Any]:
    """CPU-ms of one verification by who used them, of several runs the median."""
    workers = runs[0].workers

    def cpu(*names: str) -> float:
        return spread([run.cpu_ms_each(*names) for run in runs]).median

    return {
        "ours": {name: cpu(name) for name in workers},
        "ours_total": cpu(*workers),
        "postgres": cpu("postgres"),
        "kafka": cpu("kafka"),
        "all": cpu(*workers, "postgres", "kafka"),
    }


def rows(report: Report) -> list[tuple[str, Spread]]:
    """Every figure that has a spread, in the order in which it is printed."""
    runs = report.runs
    told = [
        (f"CPU-ms {name}", spread([run.cpu_ms_each(name) for run in runs])) for name in (*runs[0].workers, *OUTSIDE)
    ]
    for where, some in (("", runs), (" at the limit", report.full)):
        if some:
            told.append((f"CPU-ms ours{where}", spread([run.ours_ms for run in some])))
            told.append((f"CPU-ms ours, Postgres, Kafka{where}", spread([run.all_ms for run in some])))
    for stage in STAGES:
        told += [(f"{stage} p{part} ms", latency(runs, stage, part / 100)) for part in (50, 99)]
    told += [(f"MiB {name}", spread([run.rss_mib[name] for run in runs])) for name in runs[0].workers]
    told += [(f"CPU-ms with {short(count)} stored", each.cpu_ms) for count, each in sorted(report.stored.items())]
    return told


def growth(costs: Mapping[int, float]) -> float:
    """Cost at the most that was stored, as a multiple of that at the least; 1 where one size was measured."""
    sizes = sorted(costs)
    return costs[sizes[-1]] / max(costs[sizes[0]], 1e-9) if sizes else 1.0


def details(report: Report) -> dict[str, Any]:
    """What is written beside the document: every spread, and what one verification makes Postgres and Kafka write."""
    return {
        "one_verification": dict(report.each),
        "figures": {name: asdict(each) for name, each in rows(report)},
        "blocks": {f"stored_{short(count)}": each.blocks for count, each in sorted(report.stored.items())},
        "memory_grown": dict(report.grown),
    }


def short(count: int) -> str:
    """10000 as `10k`, 1000000 as `1m`."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if count >= size and count % size == 0:
            return f"{count // size}{letter}"
    return str(count)
