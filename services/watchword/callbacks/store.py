"""The rows of callbacks as values."""

from typing import Any
from uuid import UUID

import asyncpg

from watchword.callbacks.decide.conclude import Answer, Claim
from watchword.callbacks.decide.tell import Standing
from watchword.events.verification import Facts
from watchword.events.verification_ended import Ending
from watchword.kernel.ids import event_id
from watchword.runtime.postgres import statements

SQL = statements("watchword.callbacks")
OWE = {"owe": SQL["owe"]}
WAITED_FOR = {"tell_result": SQL["tell_result"]}
RESULTS = {name: SQL[name] for name in ("conclude", "again", "disable")}


def facts_of(row: asyncpg.Record) -> Facts:
    """The shared facts in a row of `standings` or `hold`."""
    return Facts(**{name: row[name] for name in Facts.__struct_fields__})


def standing_of(row: asyncpg.Record) -> Standing:
    """A row of the statement `standings`. A verification that lives reads as `unknown`: it has no ending yet."""
    return Standing(
        about=facts_of(row),
        ending=Ending(row["state"]),
        reason=row["end_reason"],
        created_at=row["created_at"],
        sends_issued=row["sends_issued"],
        checks_used=row["checks_used"],
        request_id=row["request_id"],
    )


def claim_of(row: asyncpg.Record) -> Claim:
    """A row of the statement `claim`."""
    return _claim(row, version=row["version"], body=row["body"])


def late_of(row: asyncpg.Record) -> tuple[Claim, Answer]:
    """A row of the statement `late`, with what its last call came to."""
    return _claim(row), Answer(row["status"], row["failure"])


def _claim(row: asyncpg.Record, **further: Any) -> Claim:
    return Claim(**{name: row[name] for name in _PLAIN}, **further)


_PLAIN = (
    "verification_id", "event_id", "tenant", "endpoint", "event", "round", "attempts", "begun_at", "expires_at",
)  # fmt: skip


def event_uuid(text: str) -> UUID:
    """The event id in an envelope. One that is no UUID was not made by us and stands for one that follows from it."""
    try:
        return UUID(text)
    except ValueError:
        return event_id(text, "foreign")
