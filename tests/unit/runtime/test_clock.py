"""The database's clock as it is carried on between two readings."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from watchword.runtime import clock
from watchword.runtime.clock import DatabaseClock, elapsed_s

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


class Readings:
    """The one question that is put to a pool here; each answer is used once."""

    def __init__(self, *moments: datetime) -> None:
        self.left = list(moments)

    async def fetchval(self, query: str, *, timeout: float) -> datetime:
        return self.left.pop(0)


async def test_a_worker_whose_machine_was_suspended_does_not_live_in_the_past() -> None:
    """For ten seconds after it was resumed it took the reading from before for a fresh one."""
    passed_s = [1_000.0]
    readings: Any = Readings(NOON, NOON + TEN_MINUTES + timedelta(seconds=1))
    database = DatabaseClock(readings, elapsed=lambda: passed_s[0])
    await database.refresh()
    passed_s[0] += TEN_MINUTES.total_seconds()
    assert database.now() == NOON + TEN_MINUTES
    await database.refresh()
    assert database.now() == NOON + TEN_MINUTES + timedelta(seconds=1)
    await database.refresh()
    assert not readings.left, "a fresh reading is carried on"


def test_it_is_carried_on_by_the_clock_that_counts_a_suspension_where_there_is_one() -> None:
    assert getattr(time, "CLOCK_BOOTTIME", None) == clock.SUSPENDED_TOO
    before_s = elapsed_s()
    assert before_s <= elapsed_s() <= before_s + 60
