"""watchword.codes."""

from typing import Any

from tests.simulation.statements import outboxes
from tests.simulation.statements.columns import (
    LIVE,
    ended,
    facts_of,
    held,
    moved,
    newest,
    picked,
    seen,
    split,
    unnest,
    uuid,
)  # fmt: skip
from tests.simulation.tables import Row, Rows

_FACTS = (
    "state", "created_at", "rules", "locale", "template", "binding", "binding_hash", "signals", "own_code",
    "sends_issued", "code_version", "checks_used",
)  # fmt: skip
_NEW_ATTEMPT = {
    "state": "queued", "account": "", "gateway": "", "owner": "", "lease_until": None, "recovery": 0,
    "claimed_at": None, "concluded_at": None, "outcome": "", "raw_code": "", "provider_id": "", "price_micros": 0,
    "currency": "", "latency_ms": 0, "segments": 0, "possible_duplicate": False, "receipt_state": None,
    "receipt_rank": 0, "receipt_at": None, "receipt_due_at": None, "receipt_ask_at": None, "receipt_parts": 0,
    "hedge_at": None, "hedges": False, "feedback_at": None, "feedback_tries": 0,
}  # fmt: skip


def facts(rows: Rows, ids: Any) -> list[Row]:
    return [{**facts_of(row), **picked(row, *_FACTS)} for row in held(rows, ids)]


def look(rows: Rows, ids: Any) -> list[Row]:
    return [{**facts_of(row), **picked(row, *_FACTS, "seq")} for row in seen(rows, ids)]


def issue_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
    events, (ids, counted, seqs, versions, send_nos, attempts, deadlines, macs, peppers, sealed) = split(columns)
    done: list[Any] = []
    moves = unnest(ids, counted, seqs, versions, send_nos, attempts, deadlines, macs, peppers, sealed)
    for key, count, seq, version, send_no, attempt, deadline, mac, pepper, message in moves:
        if not newest(rows, key, seq) or not issue(rows, [key], [count], [version], [send_no]):
            continue
        store_code(rows, [key], [0], [version], [mac], [pepper], [message])
        queue_attempt(rows, [attempt], [0], [key], [send_no], [version], [deadline])
        done.append(uuid(key))
    outboxes.told(rows, events, done, settled)
    return [{"key": identity} for identity in done]


def issue(rows: Rows, keys: Any, counted: Any, versions: Any, send_nos: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] != "requested":
            return None
        sent = {"code_version": versions[index], "sends_issued": send_nos[index]}
        return {"state": "issued", "own_code": None, **sent}

    return moved(rows, keys, counted, columns)


def issue_silently(rows: Rows, keys: Any, counted: Any, versions: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        return {"state": "issued", "code_version": versions[index]} if row["state"] == "requested" else None

    return moved(rows, keys, counted, columns)


def send_again(rows: Rows, keys: Any, counted: Any, versions: Any, send_nos: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] != "issued" or row["sends_issued"] >= send_nos[index]:
            return None
        return {"code_version": versions[index], "sends_issued": send_nos[index], "own_code": None}

    return moved(rows, keys, counted, columns)


def block(rows: Rows, keys: Any, counted: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] != "requested":
            return None
        return ended(rows, row, "blocked", reasons[index], row["checks_told"])

    return moved(rows, keys, counted, columns)


def expire(rows: Rows, keys: Any, counted: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        return ended(rows, row, "expired", reasons[index], row["checks_told"]) if row["state"] in LIVE else None

    return moved(rows, keys, counted, columns)


def store_code(rows: Rows, keys: Any, counted: Any, versions: Any, macs: Any, peppers: Any, sealed: Any) -> list[Row]:
    found: list[Row] = []
    for key, version, mac, pepper, message in unnest(keys, versions, macs, peppers, sealed):
        place = (uuid(key), version)
        rows.lock("codes", place)
        if rows.get("codes", place) is None:
            told = {"verification_id": place[0], "version": version, "mac": mac, "pepper_id": pepper}
            rows.put("codes", place, {**told, "sealed": message, "created_at": rows.now})
            found.append({"key": place[0], "seq": 0})
    return found


def queue_attempt(
    rows: Rows, keys: Any, counted: Any, verifications: Any, send_nos: Any, versions: Any, deadlines: Any
) -> list[Row]:
    return [
        {"key": uuid(key), "seq": 0}
        for key, verification, send_no, version, deadline in unnest(keys, verifications, send_nos, versions, deadlines)
        if begin_attempt(rows, uuid(key), uuid(verification), (send_no, 1, version), deadline)
    ]


def begin_attempt(
    rows: Rows, identity: Any, verification: Any, numbers: tuple[int, int, int], deadline: Any, **columns: Any
) -> bool:
    """A new attempt unless there is one of that id. `numbers` are send, try and version of the code."""
    rows.lock("attempts", identity)
    if rows.get("attempts", identity) is not None:
        return False
    send_no, try_no, version = numbers
    begun = {"id": identity, "verification_id": verification, "send_no": send_no, "try_no": try_no}
    begun |= {"code_version": version, "send_deadline": deadline, "created_at": rows.now}
    rows.put("attempts", identity, {**_NEW_ATTEMPT, **begun, **columns})
    return True
