"""The sweep: events that were committed and did not reach Kafka are published again, under their own ids."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from watchword.runtime import outbox
from watchword.runtime.failpoints import reach
from watchword.runtime.metrics import Counter
from watchword.runtime.postgres import Pool
from watchword.runtime.publishing import BrokerAway, Outgoing, Publisher, PublishUnknown
from watchword.timers.metrics import TimersMetrics
from watchword.timers.settings import TimersSettings
from watchword.timers.store import SQL

log = structlog.get_logger()

# Shorter than the lock timeout of those who may wait for a row that is held meanwhile.
PUBLISH_DEADLINE_S = 3.0
BATCHES_A_TURN_MAX = 20
SET_ASIDE_MAX = 100
_STEP = 8


class Sweep:
    """Publishes outbox rows that are older than they should be, oldest first, then deletes them.

    Rows are held while they are published, so that of several timers each takes others. When a batch fails the next
    one is smaller, down to one row; a row that fails by itself is set aside for a while, so that one that Kafka will
    never take does not stop those behind it. While no broker is there none of that is done, for no row is at fault.
    """

    def __init__(
        self,
        settings: TimersSettings,
        *,
        pool: Pool,
        publisher: Publisher,
        metrics: TimersMetrics,
        swept: Counter,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._publisher = publisher
        self._metrics = metrics
        self._swept = swept
        self._rows_max = settings.sweep_rows_max
        self._set_aside: list[UUID] = []

    async def turn(self) -> None:
        """Publish what is late now, as far as one turn goes. Raises what Postgres raises."""
        for _ in range(BATCHES_A_TURN_MAX):
            if not await self._batch():
                break

    async def _batch(self) -> bool:
        """Whether it is worth going on at once."""
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            rows = await connection.fetch(
                SQL["late_outbox"], timedelta(seconds=self._settings.sweep_after_s), self._rows_max, self._set_aside
            )
            if not rows:
                self._set_aside.clear()
                return False
            reach("timers.sweeping")
            if not await self._publish(rows):
                return False
            reach("timers.swept")
            await outbox.settle(connection, [row["id"] for row in rows])
        self._swept.add(len(rows))
        full = len(rows) == self._rows_max
        self._rows_max = min(self._rows_max * _STEP, self._settings.sweep_rows_max)
        return full

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> bool:
        records = [Outgoing(row["topic"], row["key"], row["value"], outbox.unpack(row["headers"])) for row in rows]
        try:
            await self._publisher.publish(records, deadline_s=PUBLISH_DEADLINE_S)
        except PublishUnknown as error:
            log.warning("timers.sweep_failed", rows=len(rows), error=str(error))
            if not isinstance(error, BrokerAway):
                self._set_back(rows)
            return False
        return True

    def _set_back(self, rows: Sequence[asyncpg.Record]) -> None:
        if len(rows) == 1:
            self._set_aside = [*self._set_aside, rows[0]["id"]][-SET_ASIDE_MAX:]
        self._rows_max = max(len(rows) // _STEP, 1)
