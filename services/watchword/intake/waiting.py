"""Waiting for outcomes on behalf of callers that asked for it: one look at the database for all of them at once.

Whoever waits costs no query of its own. There is a bound on how many may wait, each has a deadline, and one whose
caller has hung up is dropped at the next look. While Postgres is away nobody learns anything, and every wait ends at
its deadline.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from watchword.intake import store
from watchword.intake.metrics import IntakeMetrics
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.postgres import Pool
from watchword.runtime.stop import Turning

LOOK_EVERY_S = 0.075


@dataclass(eq=False, slots=True)
class _Waiter:
    verification_id: UUID
    gone: Callable[[], bool]
    outcome: "asyncio.Future[str]"


class Outcomes:
    """Tells waiters when the newest send of their verification was tried, or the verification has ended."""

    def __init__(self, *, pool: Pool, waiting_max: int, metrics: IntakeMetrics) -> None:
        self._pool = pool
        self._waiting_max = waiting_max
        self._metrics = metrics
        self._waiters: set[_Waiter] = set()
        self._turning = Turning("outcomes", self.look, pause_s=LOOK_EVERY_S)

    async def start(self) -> None:
        """Begin to look."""
        await self._turning.start()

    async def stop(self) -> None:
        """Look no more; who still waits hears nothing before its deadline."""
        await self._turning.stop()

    async def known(self, verification_id: UUID, *, within_s: float, gone: Callable[[], bool]) -> bool:
        """Whether there is an outcome within `within_s`; at the latest then. False too once `gone` says that nobody
        is there to hear it. Raises Overloaded if as many wait already as may."""
        if len(self._waiters) >= self._waiting_max:
            self._metrics.waits.add(outcome="shed")
            raise Overloaded("too many callers wait for outcomes")
        waiter = _Waiter(verification_id, gone, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(within_s):
                outcome = await waiter.outcome
        except TimeoutError:
            outcome = "late"
        finally:
            self._waiters.discard(waiter)
        self._metrics.waits.add(outcome=outcome)
        return outcome == "known"

    async def look(self) -> None:
        """One look for everybody who waits. Raises what Postgres raises."""
        for waiter in list(self._waiters):
            if waiter.gone():
                _tell(waiter, "gone")
                self._waiters.discard(waiter)
        if not self._waiters:
            return
        asked = {waiter.verification_id for waiter in self._waiters}
        async with self._pool.acquire(timeout=5) as connection:
            known = await store.tried(connection, asked)
        for waiter in self._waiters:
            if waiter.verification_id in known:
                _tell(waiter, "known")


def _tell(waiter: _Waiter, outcome: str) -> None:
    if not waiter.outcome.done():
        waiter.outcome.set_result(outcome)
