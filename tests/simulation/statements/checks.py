"""watchword.checks."""

from datetime import timedelta
from typing import Any

from tests.simulation.statements.columns import ended, facts_of, moved, picked, unnest, uuid
from tests.simulation.tables import Row, Rows

_FOUND = (
    "state", "created_at", "binding_hash", "signals", "sends_issued", "checks_used", "checks_max", "rules",
)  # fmt: skip


def find(rows: Rows, ids: Any, tenants: Any) -> list[Row]:
    found: list[Row] = []
    for identity, tenant in sorted(unnest(ids, tenants)):
        row = rows.get("verifications", identity)
        if row is not None and row["tenant"] == tenant:
            rows.lock("verifications", identity)
            found.append({**facts_of(row), **picked(row, *_FOUND), "in_time": row["expires_at"] > rows.now})
    return found


def charge(rows: Rows, keys: Any, costs: Any) -> list[Row]:
    found: list[Row] = []
    for key, cost in sorted(unnest(keys, costs)):
        rows.lock("limits", key)
        known = rows.get("limits", key)
        tat = (max(known["tat"], rows.now) if known is not None else rows.now) + cost
        span = timedelta(days=1) if key.startswith("wrong/day/") else timedelta(hours=1)
        if known is None or tat <= rows.now + span:
            rows.put("limits", key, {"key": key, "tat": tat})
            found.append({"key": key})
    return found


def give_back(rows: Rows, keys: Any, costs: Any) -> list[Row]:
    for key, cost in sorted(unnest(keys, costs)):
        known = rows.get("limits", key)
        if known is not None:
            rows.change("limits", key, tat=known["tat"] - cost)
    return []


def buckets(rows: Rows, keys: Any) -> list[Row]:
    return [picked(row, "key", "tat") for key in keys if (row := rows.get("limits", key)) is not None]


def count(rows: Rows, ids: Any) -> list[Row]:
    found: list[Row] = []
    for identity in ids:
        row = rows.get("verifications", identity)
        if row is None or row["state"] != "issued" or row["expires_at"] <= rows.now:
            continue
        if row["checks_used"] >= row["checks_max"]:
            continue
        used = row["checks_used"] + 1
        rows.change("verifications", identity, checks_used=used)
        code = rows.get("codes", (identity, row["code_version"]))
        found.append({"id": identity, "checks_used": used, "mac": code["mac"] if code is not None else None})
    return found


def approve(rows: Rows, keys: Any, counted: Any, check_nos: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] != "issued":
            return None
        return ended(rows, row, "approved", reasons[index], row["checks_told"] | 1 << check_nos[index] - 1)

    return moved(rows, keys, counted, columns)


def lock(rows: Rows, keys: Any, counted: Any, check_nos: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        if row["state"] != "issued" or row["checks_used"] < row["checks_max"]:
            return None
        return ended(rows, row, "locked", reasons[index], row["checks_told"] | 1 << check_nos[index] - 1)

    return moved(rows, keys, counted, columns)


def note(rows: Rows, keys: Any, counted: Any, check_nos: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        bit = 1 << check_nos[index] - 1
        return None if row["checks_told"] & bit else {"checks_told": row["checks_told"] | bit}

    return moved(rows, keys, counted, columns)


def states(rows: Rows, ids: Any) -> list[Row]:
    found = (rows.get("verifications", uuid(each)) for each in ids)
    return [picked(row, "id", "state") for row in found if row is not None]
