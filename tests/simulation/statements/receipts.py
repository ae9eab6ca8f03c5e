"""watchword.receipts: what its matcher asks, for whole messages. Reports on parts, and words that no map has, are not
here: simulated carriers make neither."""

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.statements import outboxes
from tests.simulation.statements.columns import facts_of, held, newest, picked, split, told, unnest, uuid
from tests.simulation.tables import Row, Rows
from watchword.kernel.instant import to_us

_ATTEMPT = (
    "id", "verification_id", "state", "account", "provider_id", "receipt_rank", "segments", "claimed_at",
    "concluded_at",
)  # fmt: skip
_LOOKED_AT = ("id", "account", "provider_id", "receipt_rank", "segments", "claimed_at", "concluded_at")
_BELIEVED = timedelta(days=7)
_RANDOM_BITS = 80


def references(rows: Rows, ids: Any, accounts: Any, provider_ids: Any) -> list[Row]:
    meant = {row["id"]: row for row in _meant(rows, ids, accounts, provider_ids)}
    return [picked(row, "id", "verification_id") for row in meant.values()]


def _meant(rows: Rows, ids: Any, accounts: Any, provider_ids: Any) -> list[Row]:
    """The attempts of each reference: one is here twice that both name."""
    floor = to_us(rows.now - _BELIEVED) // 1_000 << _RANDOM_BITS
    provided = list(unnest(accounts, provider_ids))
    by_reference = [row for row in (rows.get("attempts", each) for each in dict.fromkeys(ids)) if row is not None]
    return by_reference + [
        row
        for _, row in rows.all("attempts")
        if row["provider_id"] and row["id"].int >= floor
        for told in provided
        if told == (row["account"], row["provider_id"])
    ]


def look(rows: Rows, ids: Any, accounts: Any, provider_ids: Any) -> list[Row]:
    found: list[Row] = []
    for row in _meant(rows, ids, accounts, provider_ids):
        verification = rows.get("verifications", row["verification_id"])
        if verification is not None:
            found.append({**picked(row, *_LOOKED_AT), **facts_of(verification), "seq": verification["seq"]})
    return found


def verifications(rows: Rows, ids: Any) -> list[Row]:
    return [facts_of(row) for row in held(rows, ids)]


def attempts(rows: Rows, ids: Any) -> list[Row]:
    found: list[Row] = []
    for identity in sorted(set(ids)):
        row = rows.get("attempts", identity)
        if row is not None:
            rows.lock("attempts", identity)
            found.append(picked(row, *_ATTEMPT))
    return found


def record(
    rows: Rows, keys: Any, counted: Any, ids: Any, ranks: Any, states: Any, provider_ids: Any, received: Any, dues: Any
) -> list[Row]:
    most: dict[Any, tuple[Any, ...]] = {}
    reports = unnest(ids, ranks, keys, counted, states, provider_ids, received, dues)
    for report in sorted(reports, key=lambda each: (each[0], -each[1], each[2])):
        most.setdefault(report[0], report)
    raised = []
    for identity, rank, key, count, *values in most.values():
        row = rows.get("attempts", identity)
        if row is not None and row["receipt_rank"] < rank:
            rows.change("attempts", identity, **_raised(row, rank, *values))
            raised.append((key, row["verification_id"], count))
    return [{"key": key, "seq": told(rows, verification, count)} for key, verification, count in raised]


def record_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
    events, (ids, counted, seqs, attempts, ranks, states, provider_ids, received, dues, accounts) = split(columns)
    done: list[Any] = []
    reports = unnest(ids, counted, seqs, attempts, ranks, states, provider_ids, received, dues, accounts)
    for verification, count, seq, identity, rank, *values, account in reports:
        if not newest(rows, verification, seq):
            continue
        held(rows, [verification])
        row = rows.get("attempts", identity)
        if row is not None and row["receipt_rank"] < rank and row["account"] == account:
            rows.change("attempts", identity, **_raised(row, rank, *values))
            told(rows, uuid(verification), count)
            done.append(uuid(verification))
    outboxes.told(rows, events, done, settled)
    return [{"key": verification} for verification in done]


def _raised(row: Row, rank: int, state: str, provider_id: str, received: datetime, due: datetime) -> dict[str, Any]:
    waits = rank < 90 and row["state"] in ("sending", "accepted", "unknown")
    return {
        "receipt_state": state,
        "receipt_rank": rank,
        "receipt_at": received,
        "provider_id": row["provider_id"] or provider_id,
        "state": "accepted" if row["state"] == "unknown" else row["state"],
        "receipt_ask_at": row["receipt_ask_at"] if rank < 40 else None,
        "receipt_due_at": (row["receipt_due_at"] or due) if waits else None,
    }


def park(
    rows: Rows, keys: Any, counted: Any, accounts: Any, refs: Any, provider_ids: Any, events: Any, patience: Any
) -> list[Row]:
    found: list[Row] = []
    for key, account, ref, provider_id, event, wait in unnest(keys, accounts, refs, provider_ids, events, patience):
        rows.lock("receipts_parked", key)
        if rows.get("receipts_parked", key) is None:
            parked = {"id": key, "account": account, "client_ref": ref, "provider_id": provider_id, "event": event}
            parked |= {"parked_at": rows.now, "parked_until": rows.now + wait}
            rows.put("receipts_parked", key, {**parked, "look_at": rows.now + timedelta(seconds=1)})
            found.append({"key": key, "seq": 0})
    return found


def parked(rows: Rows, accounts: Any, rows_max: int) -> list[Row]:
    due = [row for _, row in rows.all("receipts_parked") if row["look_at"] <= rows.now]
    due.sort(key=lambda each: (each["look_at"], each["id"]))
    placed: list[tuple[int, Row]] = []
    for account in accounts:
        own = [row for row in due if row["account"] == account and rows.is_free("receipts_parked", row["id"])]
        for place, row in enumerate(own[:rows_max]):
            rows.lock("receipts_parked", row["id"])
            placed.append((place, row))
    placed.sort(key=lambda each: (each[0], each[1]["look_at"]))
    names = ("id", "account", "client_ref", "provider_id", "event", "parked_at")
    return [picked(row, *names) for _, row in placed[:rows_max]]


def unpark(rows: Rows, keys: Any, counted: Any) -> list[Row]:
    found = [key for key in keys if rows.get("receipts_parked", key) is not None]
    for key in found:
        rows.delete("receipts_parked", key)
    return [{"key": key, "seq": 0} for key in found]


def look_later(rows: Rows, keys: Any, counted: Any) -> list[Row]:
    found: list[Row] = []
    for key in keys:
        row = rows.get("receipts_parked", key)
        if row is not None:
            wait = min(max(rows.now - row["parked_at"], timedelta(seconds=1)), timedelta(minutes=5))
            rows.change("receipts_parked", key, look_at=rows.now + wait)
            found.append({"key": key, "seq": 0})
    return found
