"""watchword.intake: what its desk asks. Pages and single verifications as their tenant reads them are not here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.simulation.statements import outboxes
from tests.simulation.statements.columns import LIVE, ended, facts_of, held, moved, picked, unnest, uuid
from tests.simulation.tables import Row, Rows

_STANDING = (
    "state", "rules", "binding_hash", "signals", "sends_requested", "sends_assessed", "sends_issued", "checks_used",
    "created_at", "next_send_at", "number_sealed", "feedback", "feedback_no",
)  # fmt: skip
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_PATIENCE_S = 1.5
_PATIENCE_AT_ONCE_S = 0.2
_BEGUN = (
    "tenant", "number_token", "country", "range", "number_type", "purpose", "channel", "policy", "policy_version",
    "rules", "locale", "template", "reference", "binding", "binding_hash", "signals", "checks_max", "created_at",
    "expires_at", "next_send_at", "request_id", "due_at", "number_sealed", "own_code",
)  # fmt: skip
_NEW = {
    "state": "requested", "end_reason": "", "sends_requested": 1, "sends_assessed": 0, "sends_issued": 0,
    "code_version": 0, "checks_used": 0, "checks_told": 0, "ended_at": None, "flagged": False,
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


def begin_at_once(rows: Rows, *columns: Any) -> list[Row]:
    """All of it at one moment, so nobody ever comes in between; who has to wait looks at everything anew."""
    rows.wait_for_locks(_PATIENCE_AT_ONCE_S)
    asked, further, charges = list(unnest(*columns[:32])), columns[36:], list(unnest(*columns[32:36]))
    now, events, settled = further[0], list(unnest(*further[1:7])), further[7]
    seen = [_seen_free(rows, told, now) for told in asked]
    taken = [told for told, (free, known) in zip(asked, seen, strict=True) if free and known in (None, told[30])]
    wanted = _summed(charges, {uuid(told[0]) for told in taken})
    if any(max(_tat(rows, key), now) + cost > now + span for key, (cost, span) in wanted.items()):
        taken = []
    for told in sorted((each for each in taken if each[26] is not None), key=lambda each: (each[2], each[26])):
        kept = {"tenant": told[2], "key": told[26], "fingerprint": told[27], "status": told[28], "answer": told[29]}
        rows.put("idempotency", (told[2], told[26]), {**kept, "created_at": rows.now})
    for told in sorted(taken, key=_pointer):
        tenant, number_token, purpose = place = _pointer(told)
        latest = {"tenant": tenant, "number_token": number_token, "purpose": purpose}
        rows.put("latest_verifications", place, {**latest, "verification_id": uuid(told[0])})
    left = {key: max(_tat(rows, key), now) + cost for key, (cost, _) in sorted(wanted.items()) if taken}
    for key, tat in left.items():
        rows.put("limits", key, {"key": key, "tat": tat})
    add_subjects(rows, [told[2] for told in taken], [told[3] for told in taken], [told[30] for told in taken])
    begin(rows, *zip(*(told[:26] for told in taken), strict=True)) if taken else []
    begun = {uuid(told[0]) for told in taken}
    outboxes.insert(
        rows, *zip(*(event[1:] for event in events if uuid(event[0]) in begun), strict=True)
    ) if taken else []
    outboxes.delete(rows, [each for each in settled if each not in {event[1] for event in events}])
    return [
        {
            "id": uuid(told[0]),
            "begun": uuid(told[0]) in begun,
            "known_key": known if free else None,
            "tat": left.get(told[31]),
        }
        for told, (free, known) in zip(asked, seen, strict=True)
    ]


def _seen_free(rows: Rows, told: Any, now: datetime) -> tuple[bool, bytes | None]:
    """Whether nothing stands in the way of a start, limits aside, and the data key of its number."""
    subject = rows.get("subjects", (told[2], told[3]))
    pointer = rows.get("latest_verifications", _pointer(told))
    latest = pointer["verification_id"] if pointer is not None else None
    before = rows.get("verifications", latest)
    is_over = before is not None and (before["ended_at"] is not None or before["expires_at"] <= now)
    free = rows.get("idempotency", (told[2], told[26])) is None and (latest is None or is_over)
    return free, subject["wrapped_key"] if subject is not None else None


def _summed(charges: Any, ids: Any) -> dict[str, tuple[timedelta, timedelta]]:
    """What is wanted of each bucket together, and the least that any of its takers lets it run ahead."""
    found: dict[str, tuple[timedelta, timedelta]] = {}
    for identity, key, cost, span in charges:
        if uuid(identity) in ids:
            before, least = found.get(key, (timedelta(), span))
            found[key] = before + cost, min(least, span)
    return found


def _tat(rows: Rows, key: str) -> datetime:
    known = rows.get("limits", key)
    return known["tat"] if known is not None else _LONG_AGO


def _pointer(told: Any) -> tuple[str, str, str]:
    return told[2], told[3], told[7]


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
