"""watchword.timers: what is overdue and what it is owed. Forgetting what has had its time is not here."""

from datetime import timedelta
from typing import Any

from tests.simulation.statements.columns import LIVE, ended, facts_of, moved, picked, template_of, told, unnest, uuid
from tests.simulation.statements.dispatch import attempts_of
from tests.simulation.tables import Row, Rows

_DUE = (
    "state", "created_at", "signals", "rules", "sends_requested", "sends_assessed", "sends_issued", "checks_used",
    "checks_told", "checks_max", "due_at",
)  # fmt: skip
_ATTEMPT = (
    "state", "send_no", "try_no", "code_version", "send_deadline", "recovery", "account", "gateway",
)  # fmt: skip
_LEFT = ("accepted", "unknown")


def overdue_often(rows: Rows, age: timedelta) -> list[Row]:
    oldest = min((row["created_at"] for _, row in rows.all("outbox")), default=rows.now)
    verifications = [row for _, row in rows.all("verifications")]
    return [
        {
            "due_verifications": any(row["due_at"] and row["due_at"] <= rows.now for row in verifications),
            "stale_claims": any(_is_stale(rows, row) for _, row in rows.all("attempts")),
            "late_outbox": oldest < rows.now - age,
            "outbox_age_s": (rows.now - oldest).total_seconds(),
        }
    ]


def overdue_seldom(rows: Rows, grace: timedelta, looked_at_max: int) -> list[Row]:
    attempts = [row for _, row in rows.all("attempts")]
    queued = [row for row in attempts if row["state"] == "queued"]
    first = sorted((row for row in queued if row["recovery"] == 0), key=lambda each: each["send_deadline"])
    whole = [rows.get("verifications", row["verification_id"]) for row in first[:looked_at_max]]
    return [
        {
            "late_attempts": any(row["send_deadline"] < rows.now - grace for row in queued),
            "abandoned_attempts": any(each is not None and each["ended_at"] is not None for each in whole),
            "unreported_attempts": any(_is_due(rows, row) for row in attempts),
            "parked_receipts": any(row["parked_until"] < rows.now for _, row in rows.all("receipts_parked")),
        }
    ]


def late_outbox(rows: Rows, age: timedelta, rows_max: int, set_aside: Any) -> list[Row]:
    late = [row for _, row in rows.all("outbox") if row["created_at"] < rows.now - age and row["id"] not in set_aside]
    found: list[Row] = []
    for row in sorted(late, key=lambda each: (each["created_at"], each["id"])):
        if len(found) < rows_max and rows.is_free("outbox", row["id"]):
            rows.lock("outbox", row["id"])
            found.append(picked(row, "id", "topic", "key", "value", "headers", "created_at"))
    return found


def due_verifications(rows: Rows, rows_max: int) -> list[Row]:
    due = [row for _, row in rows.all("verifications") if row["due_at"] and row["due_at"] <= rows.now]
    found: list[Row] = []
    for row in sorted(due, key=lambda each: (each["due_at"], each["id"])):
        if len(found) < rows_max and rows.is_free("verifications", row["id"]):
            rows.lock("verifications", row["id"])
            found.append({**facts_of(row), **picked(row, *_DUE)})
    return found


def expire(rows: Rows, keys: Any, counted: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        return ended(rows, row, "expired", reasons[index], row["checks_told"]) if row["state"] in LIVE else None

    return moved(rows, keys, counted, columns)


def assume_assessed(rows: Rows, keys: Any, counted: Any, assessed: Any, send_nos: Any, dues: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] not in LIVE or row["sends_assessed"] != assessed[index]:
            return None
        return {"sends_assessed": send_nos[index], "due_at": dues[index]}

    return moved(rows, keys, counted, columns)


def look_again(rows: Rows, keys: Any, counted: Any, dues: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        return {"due_at": dues[index]} if row["state"] in LIVE else None

    return moved(rows, keys, [0] * len(keys), columns)


def tell_interrupted(rows: Rows, keys: Any, counted: Any, checks_told: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["checks_told"] != checks_told[index] or row["ended_at"] is None:
            return None
        return {"checks_told": (1 << row["checks_used"]) - 1, "due_at": None}

    return moved(rows, keys, counted, columns)


def _overdue(rows: Rows, wanted: Any, rows_max: int, since: str) -> list[tuple[Row, Row]]:
    """Attempts that are `wanted` with their verifications, the longest overdue first, both locked; what somebody else
    is at is passed by."""
    pairs = [(row, rows.get("verifications", row["verification_id"])) for _, row in rows.all("attempts")]
    due = [(row, whole) for row, whole in pairs if whole is not None and wanted(row, whole)]
    found: list[tuple[Row, Row]] = []
    for row, whole in sorted(due, key=lambda pair: ({**pair[1], **pair[0]}[since], pair[0]["id"])):
        free = rows.is_free("verifications", whole["id"]) and rows.is_free("attempts", row["id"])
        if len(found) < rows_max and free:
            rows.lock("verifications", whole["id"])
            rows.lock("attempts", row["id"])
            found.append((row, whole))
    return found


def _attempt(row: Row, whole: Row, since: str) -> dict[str, Any]:
    overdue_since = {**whole, **row}[since]
    return {**facts_of(whole), "attempt_id": row["id"], **picked(row, *_ATTEMPT), "overdue_since": overdue_since}


def stale_claims(rows: Rows, rows_max: int) -> list[Row]:
    def wanted(row: Row, _: Row) -> bool:
        return _is_stale(rows, row)

    found: list[Row] = []
    for row, whole in _overdue(rows, wanted, rows_max, "lease_until"):
        tries = attempts_of(rows, row["verification_id"], row["send_no"])
        others = [each for each in tries if each["id"] != row["id"]]
        send = {
            "first_try_at": min(each["created_at"] for each in tries),
            "tried": [each["account"] for each in others if each["account"]],
            "left": sum(each["state"] in _LEFT for each in others),
            "template": template_of(whole),
        }
        found.append({**_attempt(row, whole, "lease_until"), **send})
    return found


def _is_stale(rows: Rows, attempt: Row) -> bool:
    return bool(attempt["state"] == "sending" and attempt["lease_until"] < rows.now)


def late_attempts(rows: Rows, grace: timedelta, rows_max: int) -> list[Row]:
    def wanted(row: Row, whole: Row) -> bool:
        late = row["state"] == "queued" and row["send_deadline"] < rows.now - grace
        return bool(late and (row["recovery"] == 0 or whole["expires_at"] < rows.now - grace))

    return [_attempt(row, whole, "send_deadline") for row, whole in _overdue(rows, wanted, rows_max, "send_deadline")]


def abandoned_attempts(rows: Rows, looked_at_max: int, rows_max: int) -> list[Row]:
    def wanted(row: Row, whole: Row) -> bool:
        return bool(whole["ended_at"] is not None and row["state"] == "queued" and row["recovery"] == 0)

    return [_attempt(row, whole, "ended_at") for row, whole in _overdue(rows, wanted, rows_max, "ended_at")]


def unreported(rows: Rows, rows_max: int) -> list[Row]:
    def wanted(row: Row, _: Row) -> bool:
        return bool(row["receipt_due_at"] is not None and row["receipt_due_at"] <= rows.now)

    return [
        {
            **facts_of(whole),
            "state": whole["state"],
            "attempt_id": row["id"],
            **picked(row, "account", "provider_id", "receipt_rank"),
            "overdue_since": row["receipt_due_at"],
            "left": sum(each["state"] in _LEFT for each in attempts_of(rows, whole["id"])),
        }
        for row, whole in _overdue(rows, wanted, rows_max, "receipt_due_at")
    ]


def assume_receipt(rows: Rows, keys: Any, counted: Any, ranks: Any, states: Any) -> list[Row]:
    found: list[Row] = []
    for key, count, rank, state in unnest(keys, counted, ranks, states):
        row = rows.get("attempts", uuid(key))
        if row is None or row["receipt_rank"] >= rank or not _is_due(rows, row):
            continue
        known = {"receipt_state": state, "receipt_rank": rank, "receipt_due_at": None, "receipt_ask_at": None}
        rows.change("attempts", row["id"], **known)
        found.append({"key": row["id"], "seq": told(rows, row["verification_id"], count)})
    return found


def await_no_receipt(rows: Rows, keys: Any, counted: Any) -> list[Row]:
    found: list[Row] = []
    for key in keys:
        row = rows.get("attempts", uuid(key))
        if row is not None and _is_due(rows, row):
            rows.change("attempts", row["id"], receipt_due_at=None)
            found.append({"key": row["id"], "seq": 0})
    return found


def _is_due(rows: Rows, attempt: Row) -> bool:
    return attempt["receipt_due_at"] is not None and attempt["receipt_due_at"] <= rows.now


def requeue(rows: Rows, keys: Any, counted: Any, recoveries: Any) -> list[Row]:
    found: list[Row] = []
    for key, count, recovery in unnest(keys, counted, recoveries):
        row = rows.get("attempts", uuid(key))
        if row is None or row["state"] != "sending" or row["recovery"] != recovery - 1:
            continue
        if row["lease_until"] < rows.now:
            rows.change("attempts", row["id"], state="queued", owner="", lease_until=None, recovery=recovery)
            found.append({"key": row["id"], "seq": told(rows, row["verification_id"], count)})
    return found


def give_up(rows: Rows, keys: Any, counted: Any, begun: Any, ends: Any, outcomes: Any) -> list[Row]:
    found: list[Row] = []
    for key, count, before, state, outcome in unnest(keys, counted, begun, ends, outcomes):
        row = rows.get("attempts", uuid(key))
        if row is None or row["state"] != before:
            continue
        if row["state"] == "sending" and row["lease_until"] >= rows.now:
            continue
        over = {"owner": "", "lease_until": None, "concluded_at": rows.now, "outcome": outcome}
        rows.change("attempts", row["id"], state=state, **over)
        found.append({"key": row["id"], "seq": told(rows, row["verification_id"], count)})
    return found


def parked_too_long(rows: Rows, rows_max: int) -> list[Row]:
    late = [row for _, row in rows.all("receipts_parked") if row["parked_until"] < rows.now]
    found: list[Row] = []
    for row in sorted(late, key=lambda each: (each["parked_until"], each["id"])):
        if len(found) < rows_max and rows.is_free("receipts_parked", row["id"]):
            rows.delete("receipts_parked", row["id"])
            found.append(picked(row, "id", "account", "client_ref", "provider_id", "event", "parked_until"))
    return found
