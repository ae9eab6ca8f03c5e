"""One clock for decisions: the database's, read seldom and carried forward on a clock that only goes forward.

Lives, leases and limits are compared by Postgres and by workers alike; a worker whose wall clock is wrong must
come to the same answer as its neighbours, so nobody decides by their own wall clock.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import asyncpg

REFRESH_S = 10.0
SUSPENDED_TOO: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def monotonic_s() -> float:
    """Seconds on the clock that only goes forward, for pauses and leases. A default that is looked up at each call, so
    that a whole run can be put on another clock."""
    return time.monotonic()


def elapsed_s() -> float:
    """Seconds on the clock that goes forward while the machine is suspended as well. Linux has one; elsewhere it stands
    still meanwhile."""
    return time.monotonic() if SUSPENDED_TOO is None else time.clock_gettime(SUSPENDED_TOO)


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
    """The database's clock, at most `REFRESH_S` of this machine's drift away from a reading. A machine that was
    suspended for ten minutes knows that they have passed."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, elapsed: Callable[[], float] = elapsed_s) -> None:
        """`elapsed` is the clock that it is carried on by, in seconds."""
        self._pool = pool
        self._elapsed_s = elapsed
        self._read: datetime | None = None
        self._read_at = 0.0

    def now(self) -> datetime:
        """The present moment; needs one `refresh` before. Raises RuntimeError without."""
        if self._read is None:
            raise RuntimeError("the database clock has not been read yet")
        return self._read + timedelta(seconds=self._elapsed_s() - self._read_at)

    async def refresh(self) -> None:
        """Read the database's clock if the last reading is old. The error is at most half the round trip."""
        started = self._elapsed_s()
        if self._read is not None and started - self._read_at < REFRESH_S:
            return
        read = await self._pool.fetchval("SELECT clock_timestamp()", timeout=5)
        ended = self._elapsed_s()
        self._read, self._read_at = read, (started + ended) / 2
