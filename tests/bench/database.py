"""What Postgres does for one verification: rows, HOT updates, WAL, blocks. Counts, which no noise moves."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from watchword.runtime.postgres import statements

_SQL = statements("tests.bench", "database.sql")


@dataclass(frozen=True)
class Counts:
    """Everything Postgres has counted up to a moment: `totals` of the server, `tables` by name, `indexes` by table.
    `at_s` is that moment on a clock that only goes forward."""

    at_s: float
    totals: Mapping[str, float]
    tables: Mapping[str, Mapping[str, int]]
    indexes: Mapping[str, int]


@dataclass(frozen=True)
class TableUse:
    """What one verification does to one table. `hot` is the share of its updates that touched no index, 1 without
    any; `scanned` are rows read by sequential scans."""

    name: str
    indexes: int
    inserted: float
    updated: float
    hot: float
    deleted: float
    scanned: float


async def counts(dsn: str) -> Counts:
    """Read the counters. Backends hand theirs over within a second of being idle."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
    try:
        totals = await connection.fetchrow(_SQL["totals"])
        tables = await connection.fetch(_SQL["tables"])
        indexes = await connection.fetch(_SQL["indexes"])
    finally:
        await connection.close(timeout=10)
    return Counts(
        at_s=time.monotonic(),
        totals={name: float(value) for name, value in dict(totals or {}).items()},
        tables={row["name"]: _numbers(dict(row)) for row in tables},
        indexes={row["name"]: row["indexes"] for row in indexes},
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in row.items() if name != "name"}


def totals_each(before: Counts, after: Counts, verifications: int) -> dict[str, float]:
    """The server's totals for one verification."""
    return {name: (value - before.totals[name]) / max(verifications, 1) for name, value in after.totals.items()}


def blocks_each(idle: tuple[Counts, Counts], busy: tuple[Counts, Counts], verifications: int) -> float:
    """Blocks touched for one verification, without what looking for overdue work touches by the second anyway."""
    (still, later), (before, after) = idle, busy
    by_the_second = (later.totals["blocks"] - still.totals["blocks"]) / (later.at_s - still.at_s)
    touched = after.totals["blocks"] - before.totals["blocks"] - by_the_second * (after.at_s - before.at_s)
    return touched / max(verifications, 1)


def tables_each(before: Counts, after: Counts, verifications: int) -> Iterator[TableUse]:
    """What one verification does to each table that was written or scanned, the most written first."""
    uses = []
    for name, now in after.tables.items():
        then = before.tables.get(name, dict.fromkeys(now, 0))
        each = {word: (value - then[word]) / max(verifications, 1) for word, value in now.items()}
        if any(each.values()):
            hot = each["updated_hot"] / each["updated"] if each["updated"] else 1.0
            uses.append(
                TableUse(
                    name=name,
                    indexes=after.indexes.get(name, 0),
                    inserted=each["inserted"],
                    updated=each["updated"],
                    hot=hot,
                    deleted=each["deleted"],
                    scanned=each["scanned"],
                )
            )
    yield from sorted(uses, key=lambda use: -(use.inserted + use.updated + use.deleted))
