"""watchword.intake: what its desk asks. Pages and single verifications as their tenant reads them are not here."""

from datetime import UTC, datetime
from typing import Any

import orjson

from tests.simulation.statements.columns import LIVE, ended, facts_of, held, moved, picked, unnest, uuid
from tests.simulation.tables import Row, Rows

_STANDING = (
    "state", "rules", "binding_hash", "signals", "sends_requested", "sends_assessed", "checks_used", "created_at",
    "next_send_at", "number_sealed", "feedback", "feedback_no",
)  # fmt: skip
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_PATIENCE_S = 1.5
_BEGUN = (
    "tenant", "number_token", "country", "range", "number_type", "purpose", "channel", "policy", "policy_version",
    "rules", "locale", "template", "reference", "binding", "binding_hash", "signals", "checks_max", "created_at",
    "expires_at", "next_send_at", "request_id", "due_at", "number_sealed", "own_code",
)  # fmt: skip
_NEW = {
    "state": "requested", "end_reason": "", "sends_requested": 1, "sends_assessed": 0, "sends_issued": 0,
    "code_version": 0, "checks_used": 0, "checks_told": 0, "ended_at": None,
    "feedback": None, "feedback_no": 0,
}  # fmt: skip


def hold_keys(rows: Rows, tenants: Any, keys: Any, fingerprints: Any) -> list[Row]:
    rows.wait_for_locks(_KEY_PATIENCE_S)
    found: list[Row] = []
    for tenant, key, fingerprint in sorted(unnest(tenants, keys, fingerprints)):
        rows.lock("idempotency", (tenant, key))
        known = rows.get("idempotency", (tenant, key))
        if known is None:
            known = {"tenant": tenant, "key": key, "fingerprint": fingerprint, "status": 0, "answer": b""}
            known |= {"created_at": rows.now}
            rows.put("idempotency", (tenant, key), known)
        found.append(picked(known, "tenant", "key", "fingerprint", "status", "answer"))
    return found


def hold_latest(rows: Rows, tenants: Any, number_tokens: Any, purposes: Any) -> list[Row]:
    found: list[Row] = []
    for place in sorted(unnest(tenants, number_tokens, purposes)):
        rows.lock("latest_verifications", place)
        known = rows.get("latest_verifications", place)
        if known is None:
            tenant, number_token, purpose = place
            known = {"tenant": tenant, "number_token": number_token, "purpose": purpose, "verification_id": None}
            rows.put("latest_verifications", place, known)
        found.append(known)
    return found


def hold_verifications(rows: Rows, ids: Any) -> list[Row]:
    found: list[Row] = []
    for row in held(rows, ids):
        subject = rows.get("subjects", (row["tenant"], row["number_token"]))
        wrapped = subject["wrapped_key"] if subject is not None else None
        found.append({**facts_of(row), **picked(row, *_STANDING), "wrapped_key": wrapped})
    return found


def hold_buckets(rows: Rows, keys: Any) -> list[Row]:
    found: list[Row] = []
    for key in sorted(keys):
        rows.lock("limits", key)
        known = rows.get("limits", key)
        if known is None:
            known = {"key": key, "tat": _LONG_AGO}
            rows.put("limits", key, known)
        found.append(known)
    return found


def add_subjects(rows: Rows, tenants: Any, number_tokens: Any, wrapped: Any) -> list[Row]:
    found: list[Row] = []
    for tenant, number_token, key in sorted(unnest(tenants, number_tokens, wrapped)):
        rows.lock("subjects", (tenant, number_token))
        if rows.get("subjects", (tenant, number_token)) is None:
            added = {"tenant": tenant, "number_token": number_token, "wrapped_key": key}
            rows.put("subjects", (tenant, number_token), {**added, "created_at": rows.now})
            found.append(added)
    return found


def subjects(rows: Rows, tenants: Any, number_tokens: Any) -> list[Row]:
    """Read under a lock that others may share, so nobody waits for it here."""
    found = (rows.get("subjects", place) for place in sorted(unnest(tenants, number_tokens)))
    return [picked(row, "tenant", "number_token", "wrapped_key") for row in found if row is not None]


def begin(rows: Rows, keys: Any, counted: Any, *columns: Any) -> list[Row]:
    found: list[Row] = []
    for key, seq, *values in unnest(keys, counted, *columns):
        identity = uuid(key)
        told = dict(zip(_BEGUN, values, strict=True))
        told |= {name: orjson.loads(told[name]) for name in ("rules", "binding", "signals")}
        rows.put("verifications", identity, {**_NEW, **told, "id": identity, "seq": seq})
        place = (told["tenant"], told["number_token"], told["purpose"])
        if rows.get("latest_verifications", place) is not None:
            rows.change("latest_verifications", place, verification_id=identity)
        found.append({"key": identity, "seq": seq})
    return found


def resend(rows: Rows, keys: Any, counted: Any, send_nos: Any, next_sends: Any, dues: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] not in LIVE or row["sends_requested"] != send_nos[index] - 1:
            return None
        asked = {"sends_requested": send_nos[index], "next_send_at": next_sends[index]}
        return {**asked, "due_at": dues[index]}

    return moved(rows, keys, counted, columns)


def cancel(rows: Rows, keys: Any, counted: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        return ended(rows, row, "cancelled", reasons[index], row["checks_told"]) if row["state"] in LIVE else None

    return moved(rows, keys, counted, columns)


def fill_bucket(rows: Rows, keys: Any, counted: Any, tats: Any) -> list[Row]:
    for key, tat in unnest(keys, tats):
        rows.change("limits", key, tat=tat)
    return [{"key": key, "seq": 0} for key in keys]


def keep_answer(
    rows: Rows, names: Any, counted: Any, tenants: Any, keys: Any, statuses: Any, answers: Any
) -> list[Row]:
    found: list[Row] = []
    for name, tenant, key, status, answer in unnest(names, tenants, keys, statuses, answers):
        if rows.get("idempotency", (tenant, key)) is not None:
            rows.change("idempotency", (tenant, key), status=status, answer=answer)
            found.append({"key": name, "seq": 0})
    return found


def forget_key(rows: Rows, names: Any, counted: Any, tenants: Any, keys: Any) -> list[Row]:
    found: list[Row] = []
    for name, tenant, key in unnest(names, tenants, keys):
        known = rows.get("idempotency", (tenant, key))
        if known is not None and known["status"] == 0:
            rows.delete("idempotency", (tenant, key))
            found.append({"key": name, "seq": 0})
    return found
