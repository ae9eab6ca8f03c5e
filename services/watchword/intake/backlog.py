"""Whether Kafka takes what was accepted: a code that waits is worth nothing, so what comes too late is not begun."""

from watchword.intake import store
from watchword.intake.metrics import IntakeMetrics
from watchword.runtime.postgres import Pool
from watchword.runtime.problems import Problem
from watchword.runtime.stop import Turning

LOOK_EVERY_S = 1.0
RETRY_AFTER_S = 5.0


class Backlog:
    """Looks once a second at the age of the oldest event that Kafka does not have (guarantees.md, section 3)."""

    def __init__(self, *, pool: Pool, age_max_s: float, metrics: IntakeMetrics) -> None:
        self._pool = pool
        self._age_max_s = age_max_s
        self._metrics = metrics
        self._age_s = 0.0
        self._turning = Turning("backlog", self.look, pause_s=LOOK_EVERY_S)

    async def start(self) -> None:
        """Look for the first time, then keep looking. Raises one of `postgres.AWAY`."""
        await self.look()
        await self._turning.start()

    async def stop(self) -> None:
        """Stop looking."""
        await self._turning.stop()

    @property
    def is_late(self) -> bool:
        """Whether the oldest event has waited for too long."""
        return self._age_s > self._age_max_s

    def refuse_if_late(self) -> None:
        """Raises Problem (503) while `is_late`: nothing is begun, and nothing is charged."""
        if self.is_late:
            raise Problem("overloaded", retry_after_s=RETRY_AFTER_S)

    async def look(self) -> None:
        """Look now. While Postgres is away the last look stands: requests fail by themselves then."""
        async with self._pool.acquire(timeout=5) as connection:
            self._age_s = await store.backlog_s(connection)
        self._metrics.backlog.set(self._age_s)
