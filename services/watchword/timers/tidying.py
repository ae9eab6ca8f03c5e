"""Forgetting what has had its time, and making room for what comes: partitions, idempotency keys, idle limits,
and numbers of which nothing is kept any more."""

from datetime import timedelta

import asyncpg
import structlog

from watchword.runtime.failpoints import reach
from watchword.runtime.postgres import Pool, columns
from watchword.timers.metrics import TimersMetrics
from watchword.timers.settings import TimersSettings
from watchword.timers.store import SQL

log = structlog.get_logger()

PARTITIONS_AHEAD = timedelta(days=21)
# A bucket in the past is as good as none; an hour more, and nobody is at it while it is deleted.
LIMITS_IDLE = timedelta(hours=1)
# After a week nobody asks any more what a report meant; the report itself is still on otp.receipts.
UNMAPPED_KEPT = timedelta(days=7)
PARTITIONS_A_TURN_MAX = 100
ROWS_A_BATCH_MAX = 1_000
BATCHES_A_TURN_MAX = 200
NUMBER_BATCHES_A_TURN_MAX = 20
NOBODY = ("", "")  # comes before every tenant and number


class Tidying:
    """Deletes in small batches, so that nobody waits for it; whole weeks go by dropping their partition."""

    def __init__(
        self,
        settings: TimersSettings,
        *,
        pool: Pool,
        metrics: TimersMetrics,
        numbers_a_batch: int = ROWS_A_BATCH_MAX,
        number_batches: int = NUMBER_BATCHES_A_TURN_MAX,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._metrics = metrics
        self._numbers_a_batch = numbers_a_batch
        self._number_batches = number_batches
        self._looked_at = NOBODY

    async def turn(self) -> None:
        """One round. Raises what Postgres raises."""
        await self._pool.fetchval(SQL["ensure_partitions"], PARTITIONS_AHEAD, timeout=10)
        retention = timedelta(days=self._settings.retention_d)
        await self._drop_partitions(retention)
        await self._forget("forget_idempotency", timedelta(hours=self._settings.idempotency_h))
        await self._forget("forget_limits", LIMITS_IDLE)
        await self._forget_numbers(retention, timedelta(days=self._settings.known_d))
        await self._forget("forget_unmapped", UNMAPPED_KEPT)

    async def _drop_partitions(self, retention: timedelta) -> None:
        """Each by itself, and none that somebody reads, a backup say: whoever came meanwhile would have to wait as
        well. The next round asks again, and nothing but space waits for it."""
        for _ in range(PARTITIONS_A_TURN_MAX):
            try:
                dropped = await self._pool.fetchval(SQL["drop_partitions"], retention, timeout=10)
            except asyncpg.LockNotAvailableError:
                log.info("timers.partition_in_use")
                break
            self._metrics.forgotten.add(dropped, stage="partitions")
            if not dropped:
                break

    async def _forget(self, statement: str, age: timedelta) -> None:
        for _ in range(BATCHES_A_TURN_MAX):
            told = await self._pool.execute(SQL[statement], age, ROWS_A_BATCH_MAX, timeout=10)
            deleted = _count(told)
            self._metrics.forgotten.add(deleted, stage=statement)
            if deleted < ROWS_A_BATCH_MAX:
                break

    async def _forget_numbers(self, retention: timedelta, known: timedelta) -> None:
        """Look at some numbers, go on with the next ones in the next round, and begin anew at the end: those that
        nobody asked for as long as verifications are kept, or was verified under for `known`, are forgotten."""
        for _ in range(self._number_batches):
            arguments = (*self._looked_at, self._numbers_a_batch, retention, known)
            rows = await self._pool.fetch(SQL["numbers_after"], *arguments, timeout=10)
            idle = [(row["tenant"], row["number_token"]) for row in rows if row["idle"]]
            if idle:
                await self._forget_idle(idle, retention, known)
            if len(rows) < self._numbers_a_batch:
                self._looked_at = NOBODY
                break
            self._looked_at = (rows[-1]["tenant"], rows[-1]["number_token"])

    async def _forget_idle(self, idle: list[tuple[str, str]], retention: timedelta, known: timedelta) -> None:
        """Each statement sees what was committed before it: a start that comes in between either holds its number, or
        finds none and makes a new one."""
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            held = await connection.fetch(SQL["hold_numbers"], *columns(idle, 2), timeout=10)
            numbers = columns([(row["tenant"], row["number_token"]) for row in held], 2)
            await connection.execute(SQL["forget_pointers"], *numbers, retention, timeout=10)
            told = await connection.execute(SQL["forget_numbers"], *numbers, known, timeout=10)
            reach("timers.forgetting")
        reach("timers.forgotten")
        self._metrics.forgotten.add(_count(told), stage="forget_numbers")


def _count(told: str) -> int:
    """How many rows a statement's tag says."""
    return int(told.rpartition(" ")[2])
