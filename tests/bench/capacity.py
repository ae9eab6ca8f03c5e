"""`make capacity`: from what one verification costs here to what many a second need elsewhere. Arithmetic, no promise.

Reads what `make bench` left in .bench. Turns cost and not events, so costs are taken as they are at the rate that was
just sustained, for that is how busy processes are meant to be; where only a lower rate was measured this errs on the
side of too many machines.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

RESULTS = Path(".bench")
PARTITIONS_MAX = 48  # schemas/topics.yaml, the production column
CONNECTIONS_A_PROCESS = 4  # runtime/postgres.py
REPLICAS = 3
DAY_S = 86_400


@dataclass(frozen=True)
class Units:
    """What one verification costs: CPU milliseconds by worker, of Postgres and of Kafka; bytes of WAL and of topics."""

    workers_ms: Mapping[str, float]
    postgres_ms: float
    kafka_ms: float
    wal_bytes: float
    topic_bytes: float


@dataclass(frozen=True)
class Plan:
    """What is wanted, and of what. `used` is the share of a core that may be busy on average: the rest is for peaks, a
    lost zone and catching up. A cell is one database with its own workers and the tenants that live there."""

    per_s: float = 10_000.0
    used: float = 0.6
    database_cores: int = 64
    broker_cores: int = 16
    core_hour: float = 0.04


@dataclass(frozen=True)
class Needs:
    """What a plan needs. Processes are per worker over all cells; `core_hours_price` is for a million verifications."""

    processes: Mapping[str, int]
    cells: int
    brokers: int
    connections_a_cell: int
    cores: float
    wal_mib_per_s: float
    topics_mib_per_s: float
    topics_tib_kept: float
    price_a_million: float

    @property
    def partitions_a_cell(self) -> int:
        """The most processes of one worker in one cell; no topic may have fewer partitions."""
        return max(math.ceil(count / self.cells) for count in self.processes.values())


def units_of(latest: Mapping[str, Any], details: Mapping[str, Any]) -> Units:
    """What a bench found. Raises KeyError where it is of another shape."""
    cpu, each = latest.get("cpu_ms_at_limit") or latest["cpu_ms"], details["one_verification"]
    return Units(cpu["ours"], cpu["postgres"], cpu["kafka"], each["wal_bytes"], each["topic_bytes"])


def needs(units: Units, plan: Plan, *, kept_days: int = 30) -> Needs:
    """The machines for `plan`, and their price."""
    cores_of = {name: plan.per_s * ms / 1_000 / plan.used for name, ms in units.workers_ms.items()}
    postgres_cores = plan.per_s * units.postgres_ms / 1_000 / plan.used
    kafka_cores = plan.per_s * units.kafka_ms / 1_000 / plan.used * REPLICAS
    cells = max(math.ceil(postgres_cores / plan.database_cores), 1)
    while max(cores_of.values()) > cells * PARTITIONS_MAX:
        cells += 1
    processes = {name: max(math.ceil(cores), cells) for name, cores in cores_of.items()}
    cores = sum(processes.values()) + 2 * postgres_cores + kafka_cores  # every database has a standby
    topics_s = plan.per_s * units.topic_bytes
    return Needs(
        processes=processes,
        cells=cells,
        brokers=max(math.ceil(kafka_cores / plan.broker_cores), REPLICAS),
        connections_a_cell=math.ceil(sum(processes.values()) / cells) * CONNECTIONS_A_PROCESS,
        cores=cores,
        wal_mib_per_s=plan.per_s * units.wal_bytes / 2**20,
        topics_mib_per_s=topics_s * REPLICAS / 2**20,
        topics_tib_kept=topics_s * REPLICAS * DAY_S * kept_days / 2**40,
        price_a_million=cores * plan.core_hour / 3_600 / plan.per_s * 1_000_000,
    )


def show(units: Units, plan: Plan, told: Needs) -> None:
    """The needs as a table."""
    table = Table("what", "how much", title=f"{plan.per_s:,.0f} verifications/s, {plan.used:.0%} of each core used")
    for name, count in told.processes.items():
        table.add_row(f"processes of {name}", f"{count:,} ({units.workers_ms[name]:.2f} CPU-ms each)")
    table.add_row(f"cells of {plan.database_cores} cores for Postgres, and a standby each", f"{told.cells:,}")
    table.add_row("partitions of a topic in a cell, at least", f"{told.partitions_a_cell:,}")
    table.add_row("connections to one database", f"{told.connections_a_cell:,}")
    table.add_row(f"brokers of {plan.broker_cores} cores, {REPLICAS} replicas", f"{told.brokers:,}")
    table.add_row("WAL, all cells together", f"{told.wal_mib_per_s:,.0f} MiB/s")
    table.add_row("topics with replicas", f"{told.topics_mib_per_s:,.0f} MiB/s")
    table.add_row("topics kept for 30 days", f"{told.topics_tib_kept:,.0f} TiB at that rate day and night")
    table.add_row("cores", f"{told.cores:,.0f}")
    table.add_row(f"a million verifications, at {plan.core_hour:g} a core-hour", f"{told.price_a_million:.2f}")
    Console().print(table)


def main() -> None:
    """Read, reckon, print."""
    parser = argparse.ArgumentParser(prog="make capacity", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--per-s", type=float, default=Plan.per_s, help="verifications a second")
    parser.add_argument("--used", type=float, default=Plan.used, help="share of a core that may be busy")
    parser.add_argument("--database-cores", type=int, default=Plan.database_cores)
    parser.add_argument("--core-hour", type=float, default=Plan.core_hour, help="price of a core for an hour")
    options = parser.parse_args()
    plan = Plan(options.per_s, options.used, options.database_cores, core_hour=options.core_hour)
    try:
        read = [orjson.loads((RESULTS / name).read_bytes()) for name in ("latest.json", "details.json")]
        units = units_of(*read)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"capacity: no figures in {RESULTS} ({error!r}); run `make bench` first")
    show(units, plan, needs(units, plan))


if __name__ == "__main__":
    main()
