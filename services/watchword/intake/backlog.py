"""Whether what was accepted goes on: a code that waits is worth nothing, so what would come too late is not begun."""

from collections.abc import Callable
from uuid import UUID

from watchword.intake import store
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.progress import Progress
from watchword.runtime.clock import monotonic_s
from watchword.runtime.postgres import Pool
from watchword.runtime.stop import Turning

LOOK_EVERY_S = 0.5


class Backlog:
    """Looks at the age of the oldest event that Kafka does not have (guarantees.md, section 3), and how far those
    came that were accepted."""

    def __init__(
        self,
        *,
        pool: Pool,
        age_max_s: float,
        metrics: IntakeMetrics,
        monotonic: Callable[[], float] = monotonic_s,
    ) -> None:
        self._pool = pool
        self._age_max_s = age_max_s
        self._progress = Progress()
        self._metrics = metrics
        self._monotonic = monotonic
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

    @property
    def ahead_s(self) -> float:
        """How long whoever is accepted now would wait until its code is sent, 0 while nobody waits for long."""
        return self._progress.wait_s(self._monotonic())

    def accepted(self, identity: Callable[[], UUID]) -> None:
        """One more was accepted; `identity` is asked if it is followed."""
        self._progress.accepted(identity, self._monotonic())

    async def look(self) -> None:
        """Look now. While Postgres is away the last look stands: requests fail by themselves then."""
        followed = self._progress.open()
        async with self._pool.acquire(timeout=5) as connection:
            self._age_s = await store.backlog_s(connection)
            tried = await store.tried(connection, followed) if followed else set[UUID]()
        now_s = self._monotonic()
        self._progress.seen(tried, now_s)
        self._metrics.backlog.set(self._age_s)
        self._metrics.ahead.set(self._progress.wait_s(now_s))
