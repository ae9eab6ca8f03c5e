"""Results that wait for their tenants' own topics: told once the topic stands."""

from collections.abc import Callable, Mapping
from typing import Final

from watchword.callbacks.audience import standings_of
from watchword.callbacks.decide.tell import waited_for
from watchword.callbacks.store import SQL, WAITED_FOR
from watchword.runtime import acting
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.failpoints import reach
from watchword.runtime.postgres import Pool
from watchword.runtime.telling import Teller

ROWS_A_TURN_MAX: Final = 500


class WaitingResults:
    """Looks for results that can be told now. `standing` answers the tenants whose own topic stands, and that topic."""

    def __init__(
        self, pool: Pool, clock: DatabaseClock, teller: Teller, standing: Callable[[], Mapping[str, str]]
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._teller = teller
        self._standing = standing

    async def turn(self) -> None:
        """Tell some of those that wait, in one transaction. Raises what Postgres raises."""
        topics = self._standing()
        if not topics:
            return
        await self._clock.refresh()
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            rows = await connection.fetch(SQL["waiting_results"], list(topics), ROWS_A_TURN_MAX)
            if not rows:
                return
            standings = await standings_of(connection, [row["verification_id"] for row in rows])
            done = [
                (acting.Cause(str(row["event_id"])), waited_for(row["event_id"], found, topics[row["tenant"]]))
                for row in rows
                if (found := standings.get(row["verification_id"])) is not None
            ]
            told = await acting.write(connection, done, WAITED_FOR)
            letters = [acting.outbox_row(each, "callbacks", self._clock.now()) for each in told]
            settled = await self._teller.store(connection, letters)
            reach("callbacks.results_told")
        self._teller.forget(settled)
        self._teller.tell_soon(letters)
