"""Forgetting what has had its time, and making room for what comes: partitions, idempotency keys, idle limits."""

from datetime import timedelta

from watchword.runtime.postgres import Pool
from watchword.timers.metrics import TimersMetrics
from watchword.timers.settings import TimersSettings
from watchword.timers.store import SQL

PARTITIONS_AHEAD = timedelta(days=21)
# A bucket in the past is as good as none; an hour more, and nobody is at it while it is deleted.
LIMITS_IDLE = timedelta(hours=1)
ROWS_A_BATCH_MAX = 1_000
BATCHES_A_TURN_MAX = 50


class Tidying:
    """Deletes in small batches, so that nobody waits for it; whole weeks go by dropping their partition."""

    def __init__(self, settings: TimersSettings, *, pool: Pool, metrics: TimersMetrics) -> None:
        self._settings = settings
        self._pool = pool
        self._metrics = metrics

    async def turn(self) -> None:
        """One round. Raises what Postgres raises."""
        await self._pool.fetchval(SQL["ensure_partitions"], PARTITIONS_AHEAD, timeout=10)
        retention = timedelta(days=self._settings.retention_d)
        dropped = await self._pool.fetchval(SQL["drop_partitions"], retention, timeout=10)
        self._metrics.forgotten.add(dropped, stage="partitions")
        await self._forget("forget_idempotency", timedelta(hours=self._settings.idempotency_h))
        await self._forget("forget_limits", LIMITS_IDLE)

    async def _forget(self, statement: str, age: timedelta) -> None:
        for _ in range(BATCHES_A_TURN_MAX):
            told = await self._pool.execute(SQL[statement], age, ROWS_A_BATCH_MAX, timeout=10)
            deleted = int(told.rpartition(" ")[2])
            self._metrics.forgotten.add(deleted, stage=statement)
            if deleted < ROWS_A_BATCH_MAX:
                break
