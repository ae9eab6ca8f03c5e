"""This process's share of what each account takes a second: leased, renewed every second, given back at the end.

A message asks nobody: its pace knows the share and until when it holds. Where the lease cannot be renewed nothing is
sent until it can, and whoever is killed leaves its part to the others when its lease is over (decision 0022).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from watchword.dispatch.carriers import ConfigurationSource
from watchword.dispatch.decide.sharing import usable, written
from watchword.dispatch.store import SQL
from watchword.runtime.postgres import AWAY, Pool
from watchword.runtime.stop import Turning

RENEW_EVERY_S: Final = 1.0
LEASE_S: Final = 3.0


class Shares:
    """Leases for every account that is applied. A service: started, it has its shares, as far as others left any."""

    def __init__(
        self,
        pool: Pool,
        owner: str,
        configuration: ConfigurationSource,
        share: Callable[[Mapping[str, float], float], None],
        *,
        lease_s: float = LEASE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`share` is told what each account may be called a second, and up to when on the monotonic clock."""
        self._pool = pool
        self._owner = owner
        self._configuration = configuration
        self._share = share
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._using: Mapping[str, float] = {}
        self._until_s = float("-inf")
        self._turning = Turning("dispatch.shares", self.turn, pause_s=RENEW_EVERY_S)

    async def start(self) -> None:
        """Take the first lease, then keep renewing it. Raises what Postgres raises."""
        await self.turn()
        await self._turning.start()

    async def stop(self) -> None:
        """Give back what is leased, so that the others need not wait for the lease's end."""
        await self._turning.stop()
        try:
            await self._pool.execute(SQL["give_slices_back"], self._owner)
        except AWAY:
            return  # it ends by itself

    async def turn(self) -> None:
        """Renew. Raises what Postgres raises; what is held then ends by itself."""
        limits = {each.id: each.per_second for each in self._configuration.current().accounts.values()}
        started_s = self._monotonic()
        held = self._using if started_s < self._until_s else {}
        using = {account: held.get(account, 0.0) for account in limits}
        stand, others = await self._renew(limits, using)
        self._using = {account: usable(limit, stand[account], others[account]) for account, limit in limits.items()}
        self._until_s = started_s + self._lease_s  # read before the lease began, and so over before it
        self._share(self._using, self._until_s)

    async def _renew(
        self, limits: Mapping[str, float], using: Mapping[str, float]
    ) -> tuple[Mapping[str, float], Mapping[str, Sequence[float]]]:
        """What stands written for us from now on, and for the others, by account."""
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.execute(SQL["lock_slices"])
            rows = [row["shares"] for row in await connection.fetch(SQL["other_slices"], self._owner)]
            others = {account: [row[account] for row in rows if account in row] for account in limits}
            stand = {account: written(limit, using[account], others[account]) for account, limit in limits.items()}
            await connection.execute(SQL["renew_slices"], self._owner, stand, self._lease_s)
        return stand, others
