"""watchword.fraud."""

from typing import Any

from tests.simulation.statements import outboxes
from tests.simulation.statements.columns import LIVE, held, moved, newest, picked, seen, split, unnest, uuid
from tests.simulation.tables import Row, Rows


def facts(rows: Rows, ids: Any) -> list[Row]:
    return [{"verification_id": row["id"], **picked(row, "state", "sends_assessed")} for row in held(rows, ids)]


def look(rows: Rows, ids: Any) -> list[Row]:
    return [{"verification_id": row["id"], **picked(row, "state", "sends_assessed", "seq")} for row in seen(rows, ids)]


def assess_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
    events, (ids, counted, seqs, send_nos, flagged) = split(columns)
    done = [
        uuid(key)
        for key, count, seq, send_no, objected in unnest(ids, counted, seqs, send_nos, flagged)
        if newest(rows, key, seq) and assess(rows, [key], [count], [send_no], [objected])
    ]
    outboxes.told(rows, events, done, settled)
    return [{"key": identity} for identity in done]


def assess(rows: Rows, keys: Any, counted: Any, send_nos: Any, flagged: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] not in LIVE or row["sends_assessed"] != send_nos[index] - 1:
            return None
        due_at = row["expires_at"] if send_nos[index] == row["sends_requested"] else row["due_at"]
        return {"sends_assessed": send_nos[index], "flagged": row["flagged"] or flagged[index], "due_at": due_at}

    return moved(rows, keys, counted, columns)
