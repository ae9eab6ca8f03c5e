"""watchword.checks."""

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.statements import outboxes
from tests.simulation.statements.columns import due_once_ended, ended, facts_of, moved, picked, unnest, uuid
from tests.simulation.tables import Row, Rows

_FOUND = (
    "state", "created_at", "binding_hash", "signals", "sends_issued", "checks_used", "checks_max", "rules",
)  # fmt: skip

_CHECKED = ("requested", "issued", "blocked")
_UNCOUNTED = {"check_no": None, "mac": None, "seq": None}


def find(rows: Rows, ids: Any, tenants: Any) -> list[Row]:
    found: list[Row] = []
    for identity, tenant in sorted(unnest(ids, tenants)):
        row = rows.get("verifications", identity)
        if row is not None and row["tenant"] == tenant:
            rows.lock("verifications", identity)
            found.append({**facts_of(row), **picked(row, *_FOUND), "in_time": row["expires_at"] > rows.now})
    return found


def count_at_once(rows: Rows, ids: Any, tenants: Any, per_hour: Any) -> list[Row]:
    """All of it at one moment, so nobody ever comes in between; who has to wait looks at everything anew."""
    asked = [each for each in sorted(unnest(ids, tenants, per_hour)) if _is_theirs(rows, each[0], each[1])]
    seen = [(rows.get("verifications", identity), borne) for identity, _, borne in asked]
    able = [(row, borne) for row, borne in seen if row is not None and _is_countable(rows, row)]
    wanted: dict[str, timedelta] = {}
    for row, borne in able:
        for key, cost in _charges(row, borne):
            wanted[key] = wanted.get(key, timedelta()) + cost
    enough = all(_charged(rows, key, cost) <= rows.now + _span(key) for key, cost in wanted.items())
    counted = {each["id"]: each for each in (count(rows, [row["id"] for row, _ in able]) if enough else [])}
    if enough:
        charge(rows, list(wanted), list(wanted.values()))
    found: list[Row] = []
    for row in (row for row, _ in seen if row is not None):
        told = counted.get(row["id"])
        facts = {**facts_of(row), **picked(row, *_FOUND), "in_time": row["expires_at"] > rows.now}
        newest = {"check_no": told["checks_used"], "mac": told["mac"], "seq": row["seq"]} if told else _UNCOUNTED
        found.append({**facts, "countable": _is_countable(rows, row), **newest})
    return found


def conclude_at_once(
    rows: Rows, ids: Any, counted: Any, check_nos: Any, ends: Any, reasons: Any, *further: Any
) -> list[Row]:
    seqs, back, events, settled = further[0], further[1:4], list(unnest(*further[4:10])), further[10]
    done: list[Any] = []
    for key, count_, check_no, state, reason, seq in unnest(ids, counted, check_nos, ends, reasons, seqs):
        row = rows.get("verifications", uuid(key))
        if row is None or row["state"] not in _CHECKED or row["seq"] != seq or row["checks_told"] & 1 << check_no - 1:
            continue
        if state is not None and row["state"] != "issued":
            continue
        if state == "locked" and row["checks_used"] < row["checks_max"]:
            continue
        told = row["checks_told"] | 1 << check_no - 1
        columns = ended(rows, row, str(state), reason, told) if state is not None else _noted(rows, row, told)
        rows.change("verifications", row["id"], **columns, seq=seq + count_)
        done.append(row["id"])
    mine = [(key, cost) for identity, key, cost in unnest(*back) if uuid(identity) in done]
    give_back(rows, [key for key, _ in mine], [cost for _, cost in mine])
    outboxes.told(rows, events, done, settled)
    return [{"id": identity} for identity in done]


def _is_theirs(rows: Rows, identity: Any, tenant: str) -> bool:
    row = rows.get("verifications", identity)
    return row is not None and row["tenant"] == tenant


def _is_countable(rows: Rows, row: Row) -> bool:
    """As it was before this statement counted: `row` is the row it saw."""
    return bool(row["state"] in _CHECKED and row["expires_at"] > rows.now and row["checks_used"] < row["checks_max"])


def _noted(rows: Rows, row: Row, checks_told: int, counted: int = 0) -> dict[str, Any]:
    """The columns of a check that ends nothing."""
    ended_at, used = row["ended_at"], row["checks_used"] + counted
    due_at = row["due_at"] if ended_at is None else due_once_ended(rows.now, used, checks_told)
    return {"checks_used": used, "checks_told": checks_told, "due_at": due_at}


def _charges(row: Row, tenant_per_hour: int) -> list[tuple[str, timedelta]]:
    number, rules = f"{row['tenant']}/{row['number_token']}", row["rules"]
    return [
        (f"wrong/hour/{number}", timedelta(hours=1) / rules["wrong_per_hour"]),
        (f"wrong/day/{number}", timedelta(days=1) / rules["wrong_per_day"]),
        (f"wrong/tenant/{row['tenant']}", timedelta(hours=1) / tenant_per_hour),
    ]


def _charged(rows: Rows, key: str, cost: timedelta) -> datetime:
    """How far a budget would run ahead."""
    known = rows.get("limits", key)
    return (max(known["tat"], rows.now) if known is not None else rows.now) + cost


def _span(key: str) -> timedelta:
    return timedelta(days=1) if key.startswith("wrong/day/") else timedelta(hours=1)


def charge(rows: Rows, keys: Any, costs: Any) -> list[Row]:
    found: list[Row] = []
    for key, cost in sorted(unnest(keys, costs)):
        rows.lock("limits", key)
        known = rows.get("limits", key)
        tat = _charged(rows, key, cost)
        if known is None or tat <= rows.now + _span(key):
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
        if row is None or not _is_countable(rows, row):
            continue
        used = row["checks_used"] + 1
        rows.change("verifications", identity, **_noted(rows, row, row["checks_told"], counted=1))
        code = rows.get("codes", (identity, row["code_version"])) if row["state"] == "issued" else None
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
        return None if row["checks_told"] & bit else _noted(rows, row, row["checks_told"] | bit)

    return moved(rows, keys, counted, columns)


def states(rows: Rows, ids: Any) -> list[Row]:
    found = (rows.get("verifications", uuid(each)) for each in ids)
    return [picked(row, "id", "state") for row in found if row is not None]
