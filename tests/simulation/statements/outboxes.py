"""The outbox, and the clock."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.simulation.statements.columns import unnest, uuid
from tests.simulation.tables import Row, Rows, Statement
from watchword.runtime import outbox


def insert(rows: Rows, *columns: Any) -> list[Row]:
    """A row that is there already stays as it is."""
    for identity, topic, key, value, headers in unnest(*columns):
        rows.lock("outbox", identity)
        if rows.get("outbox", identity) is None:
            told = {"id": identity, "topic": topic, "key": key, "value": value, "headers": headers}
            rows.put("outbox", identity, {**told, "created_at": rows.now})
    return []


def delete(rows: Rows, ids: Any) -> list[Row]:
    """What Kafka has acknowledged."""
    for identity in ids:
        if rows.get("outbox", identity) is not None:
            rows.delete("outbox", identity)
    return []


def settle_and_insert(rows: Rows, *arguments: Any) -> list[Row]:
    """Both at once, on one snapshot: a row that is deleted and inserted in the same statement is gone."""
    *columns, settled = arguments
    insert(rows, *columns)
    return delete(rows, settled)


def told(rows: Rows, events: Sequence[tuple[Any, ...]], done: Collection[Any], settled: Any) -> None:
    """The events of `done` stored, each given behind the id of its verification, and what Kafka has deleted."""
    stored = [event[1:] for event in events if uuid(event[0]) in done]
    if stored:
        insert(rows, *zip(*stored, strict=True))
    delete(rows, [each for each in settled if each not in {event[0] for event in stored}])


def clock(rows: Rows) -> list[Row]:
    """The server's time."""
    return [{"clock_timestamp": rows.now}]


STATEMENTS: Mapping[str, Statement] = {
    outbox.INSERT: insert,
    outbox.DELETE: delete,
    outbox.SETTLE_AND_INSERT: settle_and_insert,
    "SELECT clock_timestamp()": clock,
}
