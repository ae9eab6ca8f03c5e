"""The shorter way of a step: decided from what is read without a lock, written by one statement that holds row by row
only if nothing was told of the verification since (decision 0057).

Whatever does not go this way goes the usual one, under locks: what the step has no row for, and what somebody else
moved in between.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from watchword.kernel.verdict import Done
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Told
from watchword.runtime.incoming import Incoming, cause_of
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, columns

F = TypeVar("F")
RowOf: TypeAlias = Callable[[Done], "tuple[Any, ...] | None"]


@dataclass(frozen=True, slots=True)
class Seen(Generic[F]):
    """The facts of a verification as one snapshot shows them, and the number of its newest event there."""

    facts: F
    seq: int


@dataclass(frozen=True)
class AtOnce(Generic[F]):
    """What a step brings for the shorter way.

    `look` reads what `gather` reads, in one query and without a lock, by `Incoming.key`; what is not in its answer goes
    the usual way. `row` answers what a verdict writes, as one row, and None for a verdict that goes the usual way.
    `statement` takes $1 outbox rows that Kafka has; $2 to $7 the events: whose they are, id, topic, key, value and
    headers; $8 verifications, $9 how many counted events each tells, $10 the newest number each must still have; then
    the rows' columns. It returns `key` of what it has written, events and all.
    """

    look: Callable[[Sequence[Incoming], Connection], Awaitable[Mapping[str, Seen[F]]]]
    row: RowOf
    statement: str


@dataclass(frozen=True, slots=True)
class Move:
    """One event on the shorter way: its verification, the number of the newest event before it, what it writes and the
    events it tells, numbered."""

    incoming: Incoming
    seq: int
    row: tuple[Any, ...]
    told: Sequence[Told]

    @property
    def key(self) -> str:
        """The verification's id."""
        return self.incoming.key

    @property
    def counted(self) -> int:
        """How many of its events are counted."""
        return sum(each.emit.counted for each in self.told)


def move_of(incoming: Incoming, verdict: Done, seq: int, row_of: RowOf) -> Move | None:
    """A decided event, its events numbered from the one after `seq`; None for one that goes the usual way."""
    row = row_of(verdict)
    if row is None or verdict.writes[0].key != incoming.key:
        return None
    emits = [emit for write in verdict.writes for emit in write.emits]
    return Move(incoming, seq, row, acting.numbered(emits, seq, cause_of(incoming)))


async def write(
    connection: Connection, statement: str, moves: Mapping[str, Move], rows: Mapping[str, Sequence[OutboxRow]],
    settled: Sequence[UUID],
) -> frozenset[str]:  # fmt: skip
    """Carry out `moves`, by key, and store the events in `rows`; answers the keys of those that held. A transaction of
    its own. Raises what Postgres raises."""
    events = [
        (key, row.id, row.topic, row.key, row.value, outbox.pack(row.headers)) for key in moves for row in rows[key]
    ]
    # In the order of keys, in which everybody locks.
    moved = [(key, move.counted, move.seq, *move.row) for key, move in sorted(moves.items())]
    told = (*columns(events, 6), *columns(moved, len(moved[0])))
    return frozenset(str(row["key"]) for row in await connection.fetch(statement, settled, *told))
