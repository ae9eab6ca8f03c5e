"""One turn over one kind of overdue row: take, decide, write, tell. The same for every kind."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg

from watchword.kernel.verdict import Done
from watchword.runtime import acting, outbox
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.failpoints import reach
from watchword.runtime.postgres import Connection, Pool
from watchword.runtime.telling import Teller
from watchword.timers.decide import DueVerification, OverdueAttempt, UnreportedAttempt
from watchword.timers.metrics import TimersMetrics
from watchword.timers.store import WRITES_IN_LOCK_ORDER

F = TypeVar("F", DueVerification, OverdueAttempt, UnreportedAttempt)

BATCHES_A_TURN_MAX = 10
_NO_CAUSE = acting.Cause()


@dataclass(frozen=True)
class Means:
    """What every turn works with."""

    pool: Pool
    clock: DatabaseClock
    teller: Teller
    metrics: TimersMetrics


@dataclass(frozen=True)
class Kind(Generic[F]):
    """One kind of overdue row. `take` finds and locks rows, `arguments` its parameters, the last one how many."""

    name: str
    take: str
    arguments: tuple[object, ...]
    read: Callable[[asyncpg.Record], F]
    decide: Callable[[F, datetime], Done]

    @property
    def rows_max(self) -> object:
        """How many rows one transaction takes."""
        return self.arguments[-1]


class Overdue(Generic[F]):
    """Deals with one kind, a bounded number of transactions a turn."""

    def __init__(self, kind: Kind[F], means: Means) -> None:
        self._kind: Kind[F] = kind
        self._pool = means.pool
        self._clock = means.clock
        self._teller = means.teller
        self._metrics = means.metrics

    async def turn(self) -> None:
        """Deal with what is overdue now, as far as one turn goes. Raises what Postgres raises."""
        await self._clock.refresh()
        for _ in range(BATCHES_A_TURN_MAX):
            if await self._batch() != self._kind.rows_max:
                break

    async def _batch(self) -> int:
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            taken = await connection.fetch(self._kind.take, *self._kind.arguments)
            now = self._clock.now()
            found = [self._kind.read(row) for row in taken]
            self._tell_age(found, now)
            if not found:
                return 0
            rows = await self._carry_out(connection, first_of_each(found), now)
            settled = await self._teller.store(connection, rows)
            reach(f"timers.{self._kind.name}.acted")
        reach(f"timers.{self._kind.name}.committed")
        self._teller.forget(settled)
        self._teller.tell_soon(rows)
        self._metrics.dealt_with.add(len(found), stage=self._kind.name)
        return len(found)

    async def _carry_out(self, connection: Connection, found: Iterable[F], now: datetime) -> list[outbox.OutboxRow]:
        done = [(_NO_CAUSE, self._kind.decide(one, now)) for one in found]
        told = await acting.write(connection, done, WRITES_IN_LOCK_ORDER)
        return [acting.outbox_row(each, "timers", now) for each in told]

    def _tell_age(self, found: list[F], now: datetime) -> None:
        oldest_s = max(((now - one.overdue_since).total_seconds() for one in found), default=0.0)
        self._metrics.tell_overdue(self._kind.name, oldest_s)


def first_of_each(found: Iterable[F]) -> list[F]:
    """One row of each verification: a statement counts an event of a verification once. The others are still
    overdue in the next transaction."""
    first: dict[UUID, F] = {}
    for one in found:
        first.setdefault(one.about.verification_id, one)
    return list(first.values())
