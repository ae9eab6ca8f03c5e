"""Where folded rows are put: a new SQLite file, or a new schema of a Postgres database. Never over something else."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from watchword.replay.fold import Folded
from watchword.replay.rows import ATTEMPT_COLUMNS, VERIFICATION_COLUMNS, AttemptRow, VerificationRow
from watchword.runtime.postgres import CONNECT_TIMEOUT_S, statements

ROWS_AT_ONCE = 5_000
COPY_TIMEOUT_S = 120.0
_SQL = statements("watchword.replay", "sinks.sql")


class SinkError(Exception):
    """The rows cannot be put there; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A place as `--into` names it: `sqlite` and a path, or `postgres`, an address and a schema."""

    kind: str
    address: str
    schema: str = ""

    def __repr__(self) -> str:
        return f"<Sink {self.kind} {self.schema or self.address}>"


def sink_of(text: str) -> Sink:
    """The place that `sqlite:PATH` or `postgres:postgresql://…/database/schema` names. Raises SinkError."""
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest:
        return Sink(kind, rest)
    if kind == "postgres" and rest.startswith(("postgresql://", "postgres://")):
        parts = urlsplit(rest)
        database, _, schema = parts.path.removeprefix("/").partition("/")
        if database and schema.isidentifier() and schema.islower() and not schema.startswith("pg_"):
            return Sink(kind, parts._replace(path=f"/{database}").geturl(), schema)
    raise SinkError("write --into sqlite:PATH, or postgres:postgresql://user@host:port/database/new_schema")


async def store(sink: Sink, rows: Iterable[Folded], facts: dict[str, str]) -> int:
    """Put the rows there, and how they came about beside them; answers how many verifications.

    All or nothing. Raises SinkError where something is there already, OSError or asyncpg's errors.
    """
    return _sqlite(Path(sink.address), rows, facts) if sink.kind == "sqlite" else await _postgres(sink, rows, facts)


def _sqlite(path: Path, rows: Iterable[Folded], facts: dict[str, str]) -> int:
    if path.exists():
        raise SinkError(f"{path} is there already; name a new file, or remove it")
    try:
        with closing(sqlite3.connect(path)) as file, file:
            file.executescript(_SQL["sqlite"])
            count = 0
            for part in _parts(rows):
                count += len(part)
                file.executemany(
                    _insert("verifications", VERIFICATION_COLUMNS), _texts(each.verification for each in part)
                )
                file.executemany(
                    _insert("attempts", ATTEMPT_COLUMNS), _texts(a for each in part for a in each.attempts)
                )
            file.executemany(_insert("fold", ("name", "value")), facts.items())
    except sqlite3.Error as error:
        path.unlink(missing_ok=True)
        raise SinkError(f"{path}: {error}") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return count


async def _postgres(sink: Sink, rows: Iterable[Folded], facts: dict[str, str]) -> int:
    connection = await asyncpg.connect(sink.address, timeout=CONNECT_TIMEOUT_S, command_timeout=COPY_TIMEOUT_S)
    try:
        async with connection.transaction():
            if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", sink.schema):
                raise SinkError(f"schema {sink.schema} is there already; name a new one, or drop it")
            await connection.execute(_SQL["postgres"].replace("fold_schema", sink.schema))
            count = 0
            for part in _parts(rows):
                count += len(part)
                await _copy(connection, sink, "verifications", VERIFICATION_COLUMNS, (e.verification for e in part))
                await _copy(connection, sink, "attempts", ATTEMPT_COLUMNS, (a for e in part for a in e.attempts))
            await connection.copy_records_to_table("fold", schema_name=sink.schema, records=list(facts.items()))
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    return count


async def _copy(
    connection: "asyncpg.Connection[asyncpg.Record]",
    sink: Sink,
    table: str,
    columns: Sequence[str],
    rows: Iterable[VerificationRow | AttemptRow],
) -> None:
    records = [tuple(asdict(row).values()) for row in rows]
    await connection.copy_records_to_table(table, schema_name=sink.schema, columns=list(columns), records=records)


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _parts(rows: Iterable[Folded]) -> Iterator[list[Folded]]:
    left = iter(rows)
    while part := list(islice(left, ROWS_AT_ONCE)):
        yield part


def _texts(rows: Iterable[VerificationRow | AttemptRow]) -> Iterator[tuple[Any, ...]]:
    """Rows as SQLite holds them: ids and times as text."""
    for row in rows:
        yield tuple(_text(value) for value in asdict(row).values())


def _text(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
