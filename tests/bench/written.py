"""Who makes Postgres write its log ahead: which worker, which table and its indexes, and what is left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from watchword.runtime.postgres import statements

_SQL = statements("tests.bench", "written.sql")
_TIMEOUT_S = 60.0  # the log of a run is read as a whole


@dataclass(frozen=True)
class Mark:
    """A moment of the log: where it was, and how many bytes each worker had written."""

    position: str
    workers: Mapping[str, float]


@dataclass(frozen=True)
class TableWritten:
    """Bytes of the log that one verification made for a table and for its indexes; dead rows that lie in it now, how
    often autovacuum came, and its size in bytes with that of its indexes. What is about no table has no name."""

    name: str
    rows: float
    indexes: float
    dead: int = 0
    vacuums: int = 0
    table_bytes: int = 0
    index_bytes: int = 0


@dataclass(frozen=True)
class Written:
    """What one verification made Postgres write, in bytes by worker and by table, and the indexes nobody has read."""

    workers: Mapping[str, float]
    tables: Sequence[TableWritten]
    unread: Sequence[str]


async def mark(dsn: str) -> Mark:
    """This moment. Raises what Postgres raises where the log may not be read."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=_TIMEOUT_S)
    try:
        await connection.execute(_SQL["prepare"])
        workers = await connection.fetch(_SQL["workers"])
        return Mark(await connection.fetchval(_SQL["position"]), {row["name"]: row["bytes"] for row in workers})
    finally:
        await connection.close(timeout=10)


async def written(dsn: str, before: Mark, after: Mark, verifications: int) -> Written:
    """What was written between two moments, for one verification, the most written first."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=_TIMEOUT_S)
    try:
        tables = await connection.fetch(_SQL["tables"], before.position, after.position)
        left = {row["name"]: dict(row) for row in await connection.fetch(_SQL["left"])}
        unread = [row["name"] for row in await connection.fetch(_SQL["unread"])]
    finally:
        await connection.close(timeout=10)
    count = max(verifications, 1)
    workers = {name: (total - before.workers.get(name, 0.0)) / count for name, total in after.workers.items()}
    of_tables = [
        TableWritten(
            **(left.get(row["name"], {}) | {"name": row["name"]}),
            rows=row["rows"] / count,
            indexes=row["indexes"] / count,
        )
        for row in tables
    ]
    return Written(workers, sorted(of_tables, key=lambda each: -(each.rows + each.indexes)), unread)
