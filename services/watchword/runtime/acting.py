"""Carrying verdicts out: conditional writes in lock order, and the events of those that changed something."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.runtime import outbox
from watchword.runtime.outbox import Origin, OutboxRow
from watchword.runtime.postgres import Connection, columns


class Cause(msgspec.Struct, frozen=True):
    """What led to a verdict: the event's id and the correlation and trace it carries on. All may be ""."""

    event_id: str = ""
    correlation_id: str = ""
    traceparent: str = ""


class Told(msgspec.Struct, frozen=True):
    """One event that will be told: its sequence number (0 if not counted) and its cause."""

    emit: Emit
    sequence: int
    cause: Cause


async def write(
    connection: Connection, done: Sequence[tuple[Cause, Done]], statements: Mapping[str, str]
) -> list[Told]:
    """Carry out every write of `done`, one statement call per statement, in the order of `statements`.

    A statement takes $1 keys, $2 how many counted events each row tells, then the rows' columns as arrays; it
    returns `key` and `seq`, the verification's sequence number after those events, for each row that changed.
    Raises KeyError for a write whose statement the step does not list.
    """
    told = [Told(emit, 0, cause) for cause, verdict in done for emit in verdict.emits]
    order = {name: place for place, name in enumerate(statements)}
    writes = [(order[each.statement], each, cause) for cause, verdict in done for each in verdict.writes]
    writes.sort(key=lambda entry: (entry[0], entry[1].key))
    for _, group in groupby(writes, key=lambda entry: entry[0]):
        told += await _write_group(connection, [(each, cause) for _, each, cause in group], statements)
    return told


async def _write_group(
    connection: Connection, writes: Sequence[tuple[Write, Cause]], statements: Mapping[str, str]
) -> list[Told]:
    sql = statements[writes[0][0].statement]
    rows = [(each.key, _counted(each), *each.row) for each, _ in writes]
    changed = {
        str(record["key"]): record["seq"] for record in await connection.fetch(sql, *columns(rows, len(rows[0])))
    }
    told: list[Told] = []
    for each, cause in writes:
        if each.key in changed:
            told += numbered(each.emits, changed[each.key] - _counted(each), cause)
    return told


def _counted(write: Write) -> int:
    return sum(emit.counted for emit in write.emits)


def numbered(emits: Sequence[Emit], newest: int, cause: Cause) -> list[Told]:
    """A verification's events with their sequence numbers, the counted ones from the one after `newest` on."""
    told = []
    for emit in emits:
        newest += emit.counted
        told.append(Told(emit, newest if emit.counted else 0, cause))
    return told


def outbox_row(told: Told, worker: str, now: datetime) -> OutboxRow:
    """The outbox row of one told event."""
    cause = told.cause
    origin = Origin(worker, now, cause.event_id, cause.correlation_id, cause.traceparent)
    return outbox.row(told.emit, origin, sequence=told.sequence)
