"""watchword.dispatch."""

from datetime import timedelta
from typing import Any

from tests.simulation.statements import outboxes
from tests.simulation.statements.codes import begin_attempt
from tests.simulation.statements.columns import (
    ended,
    facts_of,
    held,
    moved,
    newest,
    picked,
    split,
    template_of,
    told,
    unnest,
    uuid,
)  # fmt: skip
from tests.simulation.tables import Row, Rows

_CLAIMED = ("id", "send_no", "try_no", "code_version", "recovery", "send_deadline", "claimed_at", "hedges")
_UNDELIVERED = ("expired", "undelivered", "rejected")
_OPEN_OR_LEFT = ("queued", "sending", "accepted", "unknown")


def attempts_of(rows: Rows, verification: Any, send_no: int | None = None) -> list[Row]:
    """The attempts of a verification, of one of its sends only where that is named, by send and try."""
    found = [
        row
        for _, row in rows.all("attempts")
        if row["verification_id"] == verification and send_no in (None, row["send_no"])
    ]
    return sorted(found, key=lambda row: (row["send_no"], row["try_no"]))


def tries(rows: Rows, verifications: Any, send_nos: Any) -> list[Row]:
    names = ("verification_id", "send_no", "try_no", "account", "state", "outcome", "claimed_at", "hedges")
    found = [
        picked(row, *names)
        for verification, send_no in unnest(verifications, send_nos)
        for row in attempts_of(rows, verification, send_no)
    ]
    return sorted(found, key=lambda row: (row["verification_id"], row["try_no"]))


def claim(rows: Rows, ids: Any, recoveries: Any, accounts: Any, gateways: Any, owner: str, lease_s: float) -> list[Row]:
    found: list[Row] = []
    for identity, recovery, account, gateway in sorted(unnest(ids, recoveries, accounts, gateways)):
        row = rows.get("attempts", identity)
        if row is None or row["recovery"] != recovery or row["state"] != "queued":
            continue
        verification = rows.get("verifications", row["verification_id"])
        if verification is None or not _may_be_claimed(rows, row, verification):
            continue
        claimed = rows.change(
            "attempts",
            identity,
            state="sending",
            owner=owner,
            lease_until=rows.now + timedelta(seconds=lease_s),
            claimed_at=row["claimed_at"] or rows.now,
            account=account or row["account"],
            gateway=gateway or row["gateway"],
        )
        found.append(_as_claimed(rows, claimed, verification))
    return found


def _may_be_claimed(rows: Rows, attempt: Row, verification: Row) -> bool:
    return bool(_is_wanted(verification) or attempt["recovery"] > 0 or attempt["send_deadline"] <= rows.now)


def _is_wanted(verification: Row) -> bool:
    return bool(verification["state"] == "issued" and verification["checks_used"] < verification["checks_max"])


def _as_claimed(rows: Rows, attempt: Row, verification: Row) -> Row:
    subject = rows.get("subjects", (verification["tenant"], verification["number_token"]))
    code = rows.get("codes", (attempt["verification_id"], attempt["code_version"]))
    others = attempts_of(rows, attempt["verification_id"], attempt["send_no"])
    return {
        **picked(attempt, *_CLAIMED),
        **facts_of(verification),
        **picked(verification, "created_at", "checks_used", "signals", "number_sealed", "seq"),
        "live": _is_wanted(verification)
        and verification["code_version"] == attempt["code_version"]
        and attempt["send_deadline"] > rows.now,
        "wrapped_key": subject["wrapped_key"] if subject is not None else None,
        "message_sealed": code["sealed"] if code is not None else None,
        "received": attempt["receipt_state"] is not None,
        "settled": attempt["try_no"] > 1
        and any(_settles(each, attempt["hedges"]) for each in others if each["id"] != attempt["id"]),
    }


def _settles(attempt: Row, hedges: bool) -> bool:
    if attempt["state"] not in ("accepted", "unknown"):
        return False
    if hedges:
        return bool(attempt["receipt_rank"] >= 80)
    if attempt["receipt_state"] is None:
        return bool(attempt["state"] == "accepted")
    return attempt["receipt_state"] not in _UNDELIVERED


def hold(rows: Rows, ids: Any) -> list[Row]:
    return [picked(row, "id") for row in held(rows, ids)]


def conclude(rows: Rows, keys: Any, counted: Any, owners: Any, recoveries: Any, *columns: Any) -> list[Row]:
    names = (
        "state", "outcome", "raw_code", "provider_id", "price_micros", "currency", "latency_ms", "segments",
        "possible_duplicate", "feedback_at", "receipt_due_at", "receipt_ask_at", "hedge_at",
    )  # fmt: skip
    found: list[Row] = []
    for key, count, owner, recovery, *values in unnest(keys, counted, owners, recoveries, *columns):
        row = rows.get("attempts", uuid(key))
        if row is None or not is_ours(row, owner, recovery):
            continue
        ends = dict(zip(names, values, strict=True))
        accepted = ends["state"] == "accepted"
        ends["provider_id"] = ends["provider_id"] or row["provider_id"]
        ends["receipt_due_at"] = ends["receipt_due_at"] if accepted and row["receipt_rank"] < 90 else None
        ends["receipt_ask_at"] = ends["receipt_ask_at"] if accepted and row["receipt_rank"] < 40 else None
        ends["feedback_at"] = ends["feedback_at"] if accepted else None
        ends["hedge_at"] = ends["hedge_at"] if row["receipt_rank"] < 80 else None
        rows.change("attempts", row["id"], lease_until=None, concluded_at=rows.now, **ends)
        found.append({"key": row["id"], "seq": told(rows, row["verification_id"], count)})
    return found


def conclude_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
    events, moves = split(columns)
    done: list[Any] = []
    named: list[tuple[str, str]] = []
    for verification, count, seq, identity, *ends in unnest(*moves):
        if not newest(rows, verification, seq):
            continue
        held(rows, [verification])
        if not conclude(rows, [identity], [count], *([each] for each in ends)):
            continue
        done.append(uuid(verification))
        row = rows.get("attempts", uuid(identity))
        if row is not None and (provider_id := ends[5]):
            named.append((row["account"], provider_id))
    if named:
        wake_parked(rows, *zip(*named, strict=True))
    outboxes.told(rows, events, done, settled)
    return [{"key": verification} for verification in done]


def wake_parked(rows: Rows, accounts: Any, provider_ids: Any) -> list[Row]:
    named = set(unnest(accounts, provider_ids))
    for key, row in list(rows.all("receipts_parked")):
        if (row["account"], row["provider_id"]) in named and rows.is_free("receipts_parked", key):
            rows.change("receipts_parked", key, look_at=rows.now)
    return []


def is_ours(attempt: Row, owner: str, recovery: int) -> bool:
    """Whether whoever claimed it still has it."""
    return bool(attempt["state"] == "sending" and attempt["owner"] == owner and attempt["recovery"] == recovery)


def requeue(rows: Rows, keys: Any, counted: Any, owners: Any, recoveries: Any) -> list[Row]:
    found: list[Row] = []
    for key, count, owner, recovery in unnest(keys, counted, owners, recoveries):
        row = rows.get("attempts", uuid(key))
        if row is not None and is_ours(row, owner, recovery):
            rows.change("attempts", row["id"], state="queued", owner="", lease_until=None, recovery=recovery + 1)
            found.append({"key": row["id"], "seq": told(rows, row["verification_id"], count)})
    return found


def queue_next(
    rows: Rows, keys: Any, counted: Any, previous: Any, owners: Any, recoveries: Any, verifications: Any, *columns: Any
) -> list[Row]:
    found: list[Row] = []
    asked = unnest(keys, counted, previous, owners, recoveries, verifications, *columns)
    for key, count, before, owner, recovery, verification, *numbers, deadline in asked:
        if not _is_ended_by(rows, before, owner, recovery):
            continue
        if not _may_follow(rows, before, verification, ("deferred", "unknown")):
            continue
        send_no, try_no, version = numbers
        if begin_attempt(rows, uuid(key), uuid(verification), (send_no, try_no, version), deadline):
            found.append({"key": uuid(key), "seq": told(rows, uuid(verification), count)})
    return found


def claim_next(rows: Rows, ids: Any, previous: Any, owners: Any, recoveries: Any, *columns: Any) -> list[Row]:
    *arrays, lease_s = columns
    found: list[Row] = []
    for identity, before, owner, recovery, verification, *values in unnest(ids, previous, owners, recoveries, *arrays):
        send_no, try_no, version, deadline, account, gateway = values
        mine = _is_ended_by(rows, before, owner, recovery)
        if not mine or not _may_follow(rows, before, verification, ("deferred",)) or deadline <= rows.now:
            continue
        claimed = {"state": "sending", "owner": owner, "account": account, "gateway": gateway}
        claimed |= {"claimed_at": rows.now, "lease_until": rows.now + timedelta(seconds=lease_s)}
        if begin_attempt(rows, identity, verification, (send_no, try_no, version), deadline, **claimed):
            found.append({"id": identity})
    return found


def _is_ended_by(rows: Rows, attempt: Any, owner: str, recovery: int) -> bool:
    row = rows.get("attempts", uuid(attempt))
    return bool(row and row["owner"] == owner and row["recovery"] == recovery)


def _may_follow(rows: Rows, before: Any, verification: Any, states: tuple[str, ...]) -> bool:
    earlier, whole = rows.get("attempts", uuid(before)), rows.get("verifications", uuid(verification))
    return bool(earlier and whole and earlier["state"] in states and _is_wanted(whole))


def fail(rows: Rows, keys: Any, counted: Any, reasons: Any) -> list[Row]:
    def columns(row: Row, index: int) -> dict[str, Any] | None:
        attempts = attempts_of(rows, row["id"])
        newest = max((each["send_no"] for each in attempts), default=None)
        if row["state"] != "issued" or row["sends_requested"] != newest:
            return None
        if any(each["state"] in _OPEN_OR_LEFT for each in attempts):
            return None
        return ended(rows, row, "failed", reasons[index], row["checks_told"])

    return moved(rows, keys, counted, columns)


def to_hedge(rows: Rows, rows_max: int) -> list[Row]:
    due = [row for _, row in rows.all("attempts") if row["hedge_at"] and row["hedge_at"] <= rows.now]
    found: list[Row] = []
    for row in sorted(due, key=lambda each: (each["hedge_at"], each["id"])):
        if len(found) == rows_max or not rows.is_free("attempts", row["id"]):
            continue
        rows.change("attempts", row["id"], hedge_at=None)
        verification = rows.get("verifications", row["verification_id"])
        assert verification is not None
        live = verification["state"] == "issued" and verification["sends_requested"] == row["send_no"]
        told = {
            "attempt_id": row["id"],
            "receipt": row["receipt_state"] or "",
            "live": live,
            "template": template_of(verification),
        }
        found.append({**told, **picked(row, "send_no", "code_version", "send_deadline"), **facts_of(verification)})
    return found


def queue_hedge(
    rows: Rows, keys: Any, counted: Any, previous: Any, verifications: Any, send_nos: Any, try_nos: Any, versions: Any,
    deadlines: Any,
) -> list[Row]:  # fmt: skip
    found: list[Row] = []
    asked = unnest(keys, counted, previous, verifications, send_nos, try_nos, versions, deadlines)
    for key, count, before, verification, send_no, try_no, version, deadline in asked:
        earlier, whole = rows.get("attempts", uuid(before)), rows.get("verifications", uuid(verification))
        if not _may_follow(rows, before, verification, ("accepted",)) or earlier is None or whole is None:
            continue
        if earlier["receipt_rank"] >= 80 or whole["sends_requested"] != send_no:
            continue
        numbers = (send_no, try_no, version)
        if begin_attempt(rows, uuid(key), uuid(verification), numbers, deadline, hedges=True):
            found.append({"key": uuid(key), "seq": told(rows, uuid(verification), count)})
    return found


def to_ask(rows: Rows, rows_max: int) -> list[Row]:
    due = [row for _, row in rows.all("attempts") if row["receipt_ask_at"] and row["receipt_ask_at"] <= rows.now]
    found: list[Row] = []
    for row in sorted(due, key=lambda each: (each["receipt_ask_at"], each["id"])):
        if len(found) == rows_max or not rows.is_free("attempts", row["id"]):
            continue
        again = timedelta(minutes=5)
        later = row["receipt_due_at"] and row["receipt_due_at"] > rows.now + again
        rows.change("attempts", row["id"], receipt_ask_at=row["receipt_due_at"] - again if later else None)
        verification = rows.get("verifications", row["verification_id"])
        assert verification is not None
        found.append({**picked(row, "id", "account", "provider_id"), **facts_of(verification)})
    return found


def record_found(rows: Rows, keys: Any, counted: Any, ranks: Any, states: Any) -> list[Row]:
    raised = []
    for key, count, rank, state in sorted(unnest(keys, counted, ranks, states), key=lambda each: uuid(each[0])):
        row = rows.get("attempts", uuid(key))
        if row is None or row["receipt_rank"] >= rank:
            continue
        ask_at = row["receipt_ask_at"] if rank < 40 else None
        due_at = row["receipt_due_at"] if rank < 90 else None
        known = {"receipt_state": state, "receipt_rank": rank, "receipt_at": rows.now}
        rows.change("attempts", row["id"], **known, receipt_ask_at=ask_at, receipt_due_at=due_at)
        raised.append((row["id"], row["verification_id"], count))
    return [{"key": identity, "seq": told(rows, verification, count)} for identity, verification, count in raised]
