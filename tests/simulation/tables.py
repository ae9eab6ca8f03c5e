"""Postgres in memory, as far as the workers use it: named statements, transactions and row locks.

A statement is a function over `Rows` (tests/simulation/statements); it runs at one moment, like a statement of READ
COMMITTED that found its locks free. One that needs a row somebody else has locked waits for that transaction's end and
runs anew on what is committed by then. That these functions answer as Postgres does is held by
tests/contract/stores/test_simulated_tables.py, which runs recorded histories on a real server.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tests.simulation.loop import OWNER, Owner, go_by

EPOCH = datetime(2001, 9, 3, 9, 0, tzinfo=UTC)  # a time of its own, for no partition of today to be in its way
LOCK_TIMEOUT_S = 4.0
ROUND_TRIP_MAX_S = 0.004
SLOW_SHARE = 0.3
IDLE_IN_TRANSACTION_S = 15.0

Row = dict[str, Any]
Key = tuple[str, Any]
Statement = Callable[..., list[Row]]


class Blocked(Exception):
    """A row is locked by another transaction."""

    def __init__(self, holder: "Open") -> None:
        super().__init__()
        self.holder = holder


@dataclass(eq=False)
class Open:
    """A transaction under way: what it wrote (None for deleted), what it locked, and who waits for its end."""

    number: int
    owner: Owner
    written: dict[Key, Row | None] = field(default_factory=dict)
    locked: set[Key] = field(default_factory=set)
    ended: "asyncio.Future[None] | None" = None
    waits_for: "Open | None" = None
    lock_timeout_s: float = LOCK_TIMEOUT_S
    over: bool = False


@dataclass(frozen=True, slots=True)
class Taped:
    """One step of a transaction as it was done: `sql` "" for its end, with `rows` ["commit"] or ["rollback"]."""

    transaction: int
    at: datetime
    sql: str
    arguments: tuple[Any, ...] = ()
    rows: Any = None


class Rows:
    """The rows as one statement sees and changes them. Everything is undone if it has to wait."""

    def __init__(self, database: "Database", transaction: Open) -> None:
        self._database = database
        self.transaction = transaction
        self.now = database.now()
        self.written: dict[Key, Row | None] = {}
        self.locked: set[Key] = set()

    def get(self, table: str, key: Any) -> Row | None:
        """The row as this transaction sees it."""
        place = (table, key)
        if place in self.written:
            return self.written[place]
        if place in self.transaction.written:
            return self.transaction.written[place]
        return self._database.tables[table].get(key)

    def all(self, table: str) -> list[tuple[Any, Row]]:
        """Every row of a table that this transaction sees, in no order that a statement may count on."""
        if not self.written and not self.transaction.written:
            return list(self._database.tables[table].items())
        keys = [*self._database.tables[table], *(key for name, key in self._own() if name == table)]
        found = ((key, self.get(table, key)) for key in dict.fromkeys(keys))
        return [(key, row) for key, row in found if row is not None]

    def is_free(self, table: str, key: Any) -> bool:
        """Whether nobody else has it locked: what SKIP LOCKED asks."""
        holder = self._database.locks.get((table, key))
        return holder is None or holder is self.transaction

    def lock(self, table: str, key: Any) -> None:
        """Hold a row until the transaction ends. Raises Blocked."""
        holder = self._database.locks.get((table, key))
        if holder is not None and holder is not self.transaction:
            raise Blocked(holder)
        self.locked.add((table, key))

    def put(self, table: str, key: Any, row: Row) -> None:
        """Write a row whole. Raises Blocked."""
        self.lock(table, key)
        self.written[table, key] = row

    def change(self, table: str, key: Any, **columns: Any) -> Row:
        """Set some columns of a row that is there. Raises Blocked."""
        row = self.get(table, key)
        assert row is not None
        changed = {**row, **columns}
        self.put(table, key, changed)
        return changed

    def delete(self, table: str, key: Any) -> None:
        """Raises Blocked."""
        self.lock(table, key)
        self.written[table, key] = None

    def wait_for_locks(self, within_s: float) -> None:
        """How long this transaction waits for a row from now on."""
        self.transaction.lock_timeout_s = within_s

    def _own(self) -> Iterator[Key]:
        yield from self.transaction.written
        yield from self.written


class Database:
    """The server. `statements` are what it can do, by their SQL; `trouble` is how often a round trip breaks, from 0 to
    1; until `away_until_s` nobody is let in. For histories told by hand: in `slow_share` of the round trips others come
    in between, whoever is `stalled` goes no further than the next one, `after_commit` is done once, by transaction."""

    def __init__(
        self,
        draw: random.Random,
        statements: Mapping[str, Statement],
        tables: Sequence[str],
        monotonic: Callable[[], float],
    ) -> None:
        """`monotonic` tells how many seconds have passed since EPOCH."""
        self.statements = dict(statements)
        self.tables: dict[str, dict[Any, Row]] = {name: {} for name in tables}
        self.locks: dict[Key, Open] = {}
        self.open: dict[int, Open] = {}
        self.clock_offset = timedelta()
        self.trouble = 0.0
        self.away_until_s = 0.0
        self.slow_share = SLOW_SHARE
        self.stalled: Owner | None = None
        self.after_commit: dict[int, Callable[[], None]] = {}
        self.tape: list[Taped] | None = None
        self._draw = draw
        self._monotonic = monotonic
        self._told_at_s, self._told = 0.0, EPOCH
        self._count = 0

    def now(self) -> datetime:
        """The server's clock."""
        now_s = self._monotonic()
        if now_s != self._told_at_s:
            self._told_at_s, self._told = now_s, EPOCH + timedelta(microseconds=round(now_s * 1e6))
        return self._told + self.clock_offset

    def begin(self, owner: Owner) -> Open:
        """A transaction that nothing has been done in yet."""
        self._count += 1
        transaction = Open(self._count, owner)
        self.open[transaction.number] = transaction
        return transaction

    def whenever(self, sql: str, done: Callable[[Open], None]) -> None:
        """Once, when the statement has been done next."""
        statement = self.statements[sql]

        def once(rows: Rows, *arguments: Any) -> list[Row]:
            found = statement(rows, *arguments)
            self.statements[sql] = statement
            done(rows.transaction)
            return found

        self.statements[sql] = once

    async def run(self, transaction: Open, sql: str, arguments: tuple[Any, ...]) -> list[Row]:
        """Carry out one statement, waiting for locks. Raises what asyncpg raises."""
        statement = self.statements[sql]
        began_s = self._monotonic()
        while True:
            if transaction.over:
                raise asyncpg.ConnectionDoesNotExistError("the server ended this session")
            rows = Rows(self, transaction)
            try:
                found = statement(rows, *arguments)
            except Blocked as blocked:
                await self._wait(transaction, blocked.holder, began_s + transaction.lock_timeout_s)
                continue
            for place in rows.locked:
                self.locks[place] = transaction
            transaction.locked |= rows.locked
            transaction.written |= rows.written
            self._note(transaction, rows.now, sql, arguments, found)
            return found

    def end(self, transaction: Open, *, commit: bool) -> None:
        """Make what it wrote true, or undone; whoever waited for it goes on."""
        if transaction.over:
            return
        transaction.over = True
        if commit:
            for (table, key), row in transaction.written.items():
                if row is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = row
        for place in transaction.locked:
            del self.locks[place]
        del self.open[transaction.number]
        self._note(transaction, self.now(), "", (), ["commit" if commit else "rollback"])
        if commit and (hook := self.after_commit.pop(transaction.number, None)):
            hook()
        if transaction.ended is not None and not transaction.ended.done():
            transaction.ended.set_result(None)

    def end_all_of(self, owner: Owner) -> None:
        """The server learns that a process is gone."""
        for transaction in [each for each in self.open.values() if each.owner is owner]:
            self.end(transaction, commit=False)

    @property
    def is_away(self) -> bool:
        """Whether nobody is let in."""
        return self.away_until_s > 0 and self._monotonic() < self.away_until_s

    def breaks(self) -> bool:
        """Whether this round trip is the one that breaks."""
        return self.is_away or (self.trouble > 0 and self._draw.random() < self.trouble)

    async def travel(self) -> None:
        """Half a round trip. Most are so short that nobody comes in between."""
        luck = self._draw.random()
        if luck < self.slow_share:
            await go_by(luck / self.slow_share * ROUND_TRIP_MAX_S)
        elif self.stalled is OWNER.get():
            self.stalled = None
            await asyncio.sleep(0)

    async def _wait(self, transaction: Open, holder: Open, deadline_s: float) -> None:
        transaction.waits_for = holder
        try:
            if _goes_round(transaction):
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            if holder.ended is None:
                holder.ended = asyncio.get_running_loop().create_future()
            async with asyncio.timeout_at(deadline_s):
                await asyncio.shield(holder.ended)
        except TimeoutError:
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout") from None
        finally:
            transaction.waits_for = None

    def _note(self, transaction: Open, at: datetime, sql: str, arguments: tuple[Any, ...], rows: Any) -> None:
        if self.tape is not None:
            kept = tuple(list(each) if isinstance(each, list) else each for each in arguments)
            self.tape.append(Taped(transaction.number, at, sql, kept, rows))


def _goes_round(transaction: Open) -> bool:
    each = transaction.waits_for
    while each is not None:
        if each is transaction:
            return True
        each = each.waits_for
    return False
