"""Delivering again what an operator asks for: one event, or what an endpoint was owed in a span of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from watchword.callbacks.decide.schedule import gives_up_at
from watchword.callbacks.store import SQL
from watchword.runtime.postgres import Pool

ROWS_MAX = 1_000
_LONGEST_LIFE = timedelta(minutes=10)
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Span:
    """What one endpoint was owed: events told from `since` up to, not including, `until`."""

    tenant: str
    endpoint: str
    since: datetime
    until: datetime


class Redelivered(msgspec.Struct, frozen=True):
    """What was found, by state, and how many deliveries begin again. What is pending goes out anyway and is left."""

    found: Mapping[str, int]
    again: int
    dry_run: bool


async def redeliver_event(pool: Pool, event: UUID, *, dry_run: bool) -> Redelivered:
    """Deliver one event again, to every endpoint that was owed it. Raises what Postgres raises."""
    async with pool.acquire(timeout=_TIMEOUT_S) as connection, connection.transaction():
        found = _counted(await connection.fetch(SQL["found_by_event"], event))
        again = 0
        if not dry_run:
            now = await connection.fetchval("SELECT clock_timestamp()")
            again = _changed(await connection.execute(SQL["redeliver_event"], event, now, _given_up_at(now)))
    return Redelivered(found, _promised(found) if dry_run else again, dry_run)


async def redeliver_span(pool: Pool, span: Span, *, dry_run: bool) -> Redelivered:
    """Deliver again what an endpoint was owed, `ROWS_MAX` a transaction. Raises what Postgres raises."""
    place = (span.tenant, span.endpoint, span.since, span.until)
    found = _counted(await pool.fetch(SQL["found_by_endpoint"], *place, timeout=_TIMEOUT_S))
    if dry_run:
        return Redelivered(found, _promised(found), dry_run)
    now = await pool.fetchval("SELECT clock_timestamp()", timeout=_TIMEOUT_S)
    again, changed = 0, ROWS_MAX
    while changed == ROWS_MAX:
        told = await pool.execute(
            SQL["redeliver_endpoint"], *place, now, _given_up_at(now), ROWS_MAX, timeout=_TIMEOUT_S
        )
        changed = _changed(told)
        again += changed
    return Redelivered(found, again, dry_run)


def _given_up_at(now: datetime) -> datetime:
    """A redelivery inside the code's life goes by the life first."""
    return gives_up_at(now, now + _LONGEST_LIFE)


def _counted(rows: Any) -> dict[str, int]:
    return {row["state"]: row["deliveries"] for row in rows}


def _promised(found: Mapping[str, int]) -> int:
    return sum(count for state, count in found.items() if state != "pending")


def _changed(told: str) -> int:
    """The number in Postgres' answer to an UPDATE, such as "UPDATE 3"."""
    return int(told.rpartition(" ")[2])
