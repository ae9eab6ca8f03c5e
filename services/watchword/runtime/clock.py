"""One clock for decisions: the database's, read seldom and carried forward on the monotonic clock.

Lives, leases and limits are compared by Postgres and by workers alike; a worker whose wall clock is wrong must
come to the same answer as its neighbours, so nobody decides by their own wall clock.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import asyncpg

REFRESH_S = 10.0


def monotonic_s() -> float:
    """Seconds on the clock that only goes forward, for pauses and leases. A default that is looked up at each call, so
    that a whole run can be put on another clock."""
    return time.monotonic()


class Clock(Protocol):
    """Anything that tells the moment decisions are made at, in UTC."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class WallClock:
    """This machine's clock, for places that have no database: the simulator, the command line."""

    def now(self) -> datetime:
        """The present moment by the machine's wall clock."""
        return datetime.now(UTC)


class DatabaseClock:
    """The database's clock, at most `REFRESH_S` of monotonic drift away from a reading."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._read: datetime | None = None
        self._read_at = 0.0

    def now(self) -> datetime:
        """The present moment; needs one `refresh` before. Raises RuntimeError without."""
        if self._read is None:
            raise RuntimeError("the database clock has not been read yet")
        return self._read + timedelta(seconds=time.monotonic() - self._read_at)

    async def refresh(self) -> None:
        """Read the database's clock if the last reading is old. The error is at most half the round trip."""
        started = time.monotonic()
        if self._read is not None and started - self._read_at < REFRESH_S:
            return
        read = await self._pool.fetchval("SELECT clock_timestamp()", timeout=5)
        ended = time.monotonic()
        self._read, self._read_at = read, (started + ended) / 2
