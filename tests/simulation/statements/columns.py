"""What several statements share: arrays turned into rows, columns picked from rows, and what a verification owes once
it has ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.simulation.tables import Row, Rows

LIVE = ("requested", "issued")
FACTS = (
    "tenant", "number_token", "country", "range", "number_type", "purpose", "channel", "policy", "policy_version",
    "reference", "expires_at",
)  # fmt: skip


def uuid(value: Any) -> UUID:
    """A parameter of type uuid, which the driver takes as text as well."""
    return value if isinstance(value, UUID) else UUID(value)


def unnest(*arrays: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
    """The rows of several arrays."""
    return zip(*arrays, strict=True)


def picked(row: Row, *names: str) -> dict[str, Any]:
    """Some columns of a row."""
    return {name: row[name] for name in names}


def facts_of(verification: Row) -> dict[str, Any]:
    """The columns that every event of a verification carries."""
    return {"verification_id": verification["id"], **picked(verification, *FACTS)}


def template_of(verification: Row) -> str:
    """The template that was asked for, or else the policy's."""
    return str(verification["template"] or verification["rules"].get("template", ""))


def held(rows: Rows, ids: Iterable[Any]) -> list[Row]:
    """The verifications of those ids that there are, locked in id order."""
    found: list[Row] = []
    for identity in sorted({uuid(each) for each in ids}):
        row = rows.get("verifications", identity)
        if row is not None:
            rows.lock("verifications", identity)
            found.append(row)
    return found


def seen(rows: Rows, ids: Iterable[Any]) -> list[Row]:
    """The verifications of those ids that there are, without a lock."""
    found = (rows.get("verifications", uuid(each)) for each in ids)
    return [row for row in found if row is not None]


def newest(rows: Rows, key: Any, seq: int) -> bool:
    """Whether a verification's newest event is still the one of that number."""
    row = rows.get("verifications", uuid(key))
    return row is not None and row["seq"] == seq


def split(columns: Sequence[Any]) -> tuple[list[tuple[Any, ...]], Sequence[Any]]:
    """What a statement of `runtime/at_once.py` takes behind the settled: its events as rows, and its moves' columns."""
    return list(unnest(*columns[:6])), columns[6:]


def ended(rows: Rows, verification: Row, state: str, reason: str, checks_told: int) -> dict[str, Any]:
    """The columns of a verification that ends now."""
    return {
        "state": state,
        "end_reason": reason,
        "ended_at": rows.now,
        "due_at": due_once_ended(rows.now, verification["checks_used"], checks_told),
        "own_code": None,
        "checks_told": checks_told,
    }


def due_once_ended(now: datetime, checks_used: int, checks_told: int) -> datetime | None:
    """Half a minute for whoever counted a check and has not told it."""
    return now + timedelta(seconds=30) if checks_told != (1 << checks_used) - 1 else None


def told(rows: Rows, verification_id: Any, counted: int) -> int:
    """Count events of a verification; answers the number of the last."""
    verification = rows.get("verifications", verification_id)
    assert verification is not None
    return int(rows.change("verifications", verification_id, seq=verification["seq"] + counted)["seq"])


def moved(
    rows: Rows,
    keys: Sequence[Any],
    counted: Sequence[int],
    columns: Callable[[Row, int], Mapping[str, Any] | None],
) -> list[Row]:
    """Every verification of `keys` takes on what `columns` answers for it and its place in the batch, None for one that
    does not change; the key and the newest number of those that did."""
    found: list[Row] = []
    for index, (key, count) in enumerate(unnest(keys, counted)):
        verification = rows.get("verifications", uuid(key))
        wanted = columns(verification, index) if verification is not None else None
        if verification is not None and wanted is not None:
            seq = verification["seq"] + count
            rows.change("verifications", verification["id"], **wanted, seq=seq)
            found.append({"key": verification["id"], "seq": seq})
    return found
