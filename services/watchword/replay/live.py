"""The live tables as they are, in one snapshot, under a role that can only read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from watchword.kernel.instant import to_us
from watchword.replay.rows import AttemptRow, VerificationRow
from watchword.runtime.postgres import CONNECT_TIMEOUT_S, role_of, statements

ROLE = role_of("audit")
STATEMENT_TIMEOUT_MS = 120_000
SNAPSHOT_TIMEOUT_MS = 600_000
FETCH_ROWS = 2_000
_RANDOM_BITS = 80
_SQL = statements("watchword.replay", "live.sql")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Live:
    """What the live tables held at `at`. `waiting` are the Kafka keys of events in the outbox, so that what they
    tell may not be on the topics yet; what is older than `kept_since` has been dropped or was not asked for."""

    at: datetime
    kept_since: datetime
    verifications: Mapping[UUID, VerificationRow]
    attempts: Mapping[UUID, AttemptRow]
    waiting: frozenset[str] = field(default=frozenset())
    outbox_rows: int = 0

    def sequences(self) -> dict[UUID, int]:
        """The number of events of each verification: how far the topics are to be folded."""
        return {identity: row.seq for identity, row in self.verifications.items()}


@asynccontextmanager
async def snapshot(dsn: str) -> AsyncIterator[Connection]:
    """A connection within one repeatable, read-only transaction, acting as `ROLE`.

    Raises OSError, TimeoutError or asyncpg's errors when the server cannot be had, or the login is no member of the
    role.
    """
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_MS / 1_000,
        server_settings={
            "application_name": "watchword-audit",
            "role": ROLE,
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(SNAPSHOT_TIMEOUT_MS),
            "default_transaction_read_only": "on",
            "jit": "off",
            "timezone": "UTC",
        },
    )
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def read_live(connection: Connection, *, since: datetime | None = None, tenant: str = "") -> Live:
    """The live rows of verifications begun at `since` or later, all of them without it."""
    told = await connection.fetchrow(_SQL["snapshot"])
    assert told is not None
    floor = floor_of(since)
    outbox = await connection.fetch(_SQL["outbox"])
    return Live(
        at=told["at"],
        kept_since=max(told["kept_since"], since or told["kept_since"]),
        verifications={
            row["id"]: VerificationRow(**row) async for row in rows(connection, _SQL["verifications"], floor, tenant)
        },
        attempts={row["id"]: AttemptRow(**row) async for row in rows(connection, _SQL["attempts"], floor, tenant)},
        waiting=frozenset((row["key"] or b"").decode("utf-8", "replace") for row in outbox),
        outbox_rows=len(outbox),
    )


async def rows(connection: Connection, statement: str, *arguments: Any) -> AsyncIterator[asyncpg.Record]:
    """The rows of a statement, fetched a part at a time."""
    async for row in connection.cursor(statement, *arguments, prefetch=FETCH_ROWS):
        yield row


def floor_of(moment: datetime | None) -> UUID:
    """The smallest time-ordered id of that moment's millisecond; the smallest of all for None."""
    return UUID(int=0 if moment is None else (to_us(moment) // 1_000) << _RANDOM_BITS)
