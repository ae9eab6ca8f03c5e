"""The shorter way of a step: decided from what is read without a lock, written by one statement that holds row by row
only if nothing was told of the verification since (decision 0057).

Whatever does not go this way goes the usual one, under locks: what the step has no row for, and what somebody else
moved in between.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from watchword.kernel.verdict import Done
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Told
from watchword.runtime.incoming import Incoming, cause_of
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, columns

F = TypeVar("F")
RowOf: TypeAlias = Callable[[Done], "tuple[Any, ...] | None"]


class Seen(msgspec.Struct, Generic[F], frozen=True):
    """The facts of an event as one snapshot shows them, the verification they are about, and the number of its newest
    event there."""

    facts: F
    seq: int
    verification: str


@dataclass(frozen=True)
class AtOnce(Generic[F]):
    """What a step brings for the shorter way.

    `look` reads what `gather` reads, in one query and without a lock, by `Incoming.key`; what is not in its answer goes
    the usual way. `row` answers what a verdict writes, as one row, and None for a verdict that goes the usual way.
    `statement` takes $1 outbox rows that Kafka has; $2 to $7 the events: whose they are, id, topic, key, value and
    headers; $8 verifications, $9 how many counted events each tells, $10 the newest number each must still have; then
    the rows' columns. It returns as `key` the verifications that it has written for, events and all. Events are looked
    up, `(… IN (SELECT …)) IS TRUE`: joined, each would be compared with each, for hash joins are off the path.
    """

    look: Callable[[Sequence[Incoming], Connection], Awaitable[Mapping[str, Seen[F]]]]
    row: RowOf
    statement: str


class Move(msgspec.Struct, frozen=True):
    """One event on the shorter way: its verification, the number of the newest event before it, what it writes and the
    events it tells, numbered."""

    verification: str
    seq: int
    row: tuple[Any, ...]
    told: Sequence[Told]

    @property
    def counted(self) -> int:
        """How many of its events are counted."""
        return sum(each.emit.counted for each in self.told)


def move_of(incoming: Incoming, verdict: Done, seen: Seen[Any], row_of: RowOf) -> Move | None:
    """A decided event, its events numbered from where it was seen; None for one that goes the usual way."""
    row = row_of(verdict)
    if row is None:
        return None
    emits = [emit for write in verdict.writes for emit in write.emits]
    return Move(seen.verification, seen.seq, row, acting.numbered(emits, seen.seq, cause_of(incoming)))


def apart(moves: Mapping[str, Move]) -> dict[str, Move]:
    """The moves, by key, but those of which two are about one verification: neither would know the other's events."""
    times = Counter(move.verification for move in moves.values())
    return {key: move for key, move in moves.items() if times[move.verification] == 1}


async def write(
    connection: Connection, statement: str, moves: Sequence[Move], rows: Mapping[str, Sequence[OutboxRow]],
    settled: Sequence[UUID],
) -> frozenset[str]:  # fmt: skip
    """Carry out `moves` and store their events, `rows` by verification; answers the verifications of those that held. A
    transaction of its own. Raises what Postgres raises."""
    events = [
        (move.verification, row.id, row.topic, row.key, row.value, outbox.pack(row.headers))
        for move in moves
        for row in rows[move.verification]
    ]
    # In the order of verifications, in which everybody locks.
    ordered = sorted(moves, key=lambda move: move.verification)
    moved = [(move.verification, move.counted, move.seq, *move.row) for move in ordered]
    told = (*columns(events, 6), *columns(moved, len(moved[0])))
    return frozenset(str(row["key"]) for row in await connection.fetch(statement, settled, *told))
