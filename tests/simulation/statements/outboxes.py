"""The outbox, and the clock."""

from collections.abc import Mapping
from typing import Any

from tests.simulation.statements.columns import unnest
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


def clock(rows: Rows) -> list[Row]:
    """The server's time."""
    return [{"clock_timestamp": rows.now}]


STATEMENTS: Mapping[str, Statement] = {
    outbox.INSERT: insert,
    outbox.DELETE: delete,
    outbox.SETTLE_AND_INSERT: settle_and_insert,
    "SELECT clock_timestamp()": clock,
}
