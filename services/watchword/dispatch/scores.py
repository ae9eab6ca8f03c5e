"""How accounts fared of late, in memory: a small table, counted on by one process at a time and read by all.

Off the send path: a message asks the dictionary. Counting looks at the verifications of a few seconds at once, all of
the same age, and only while a route is applied that asks for it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from watchword.dispatch.carriers import ConfigurationSource
from watchword.dispatch.decide.scoring import VERIFIED_WITHIN, Key, Tally, added, next_slice
from watchword.dispatch.store import SQL
from watchword.kernel.tenancy import Choosing
from watchword.runtime.clock import Clock
from watchword.runtime.postgres import Connection, Pool, columns

PAUSE_S: Final = 5.0
_WIDTH: Final = 5


class Scores:
    """What scored routes draw by. Until it was read for the first time, nothing is known of anybody."""

    def __init__(self, pool: Pool, configuration: ConfigurationSource, clock: Clock) -> None:
        self._pool = pool
        self._configuration = configuration
        self._clock = clock
        self._tallies: Mapping[Key, Tally] = {}

    def of(self, account: str, country: str) -> tuple[float, float]:
        """How many codes were typed in time, and how many were not, as they count now."""
        tally = self._tallies.get((account, country))
        if tally is None:
            return 0.0, 0.0
        faded = tally.faded(self._clock.now())
        return faded.verified, faded.unverified

    async def turn(self) -> None:
        """Count the next slice if nobody else is at it, then read what is counted. Raises what Postgres raises."""
        if not any(route.choice is Choosing.SCORED for route in self._configuration.current().routes):
            return
        async with self._pool.acquire(timeout=5) as connection:
            async with connection.transaction():
                until = await connection.fetchval(SQL["scores_counted_until"])
                if until is not None:
                    await self._count(connection, until)
            self._tallies = await _read(connection)

    async def _count(self, connection: Connection, until: datetime) -> None:
        """One slice, in the transaction that moves the mark: it is counted once."""
        slice_ = next_slice(until, self._clock.now())
        if slice_ is None:
            return
        rows = await connection.fetch(SQL["count_verified"], *slice_, VERIFIED_WITHIN)
        counts = {(row["account"], row["country"]): (row["verified"], row["unverified"]) for row in rows}
        changed = added(await _read(connection), counts, slice_[1])
        told = [(*key, tally.verified, tally.unverified, tally.as_of) for key, tally in changed.items()]
        await connection.execute(SQL["set_scores"], *columns(told, _WIDTH))
        await connection.execute(SQL["forget_scores"])
        await connection.execute(SQL["scores_are_counted"], slice_[1])


async def _read(connection: Connection) -> Mapping[Key, Tally]:
    rows = await connection.fetch(SQL["scores"])
    return {(row["account"], row["country"]): Tally(row["verified"], row["unverified"], row["as_of"]) for row in rows}
