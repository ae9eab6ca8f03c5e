"""The rows of timers as values."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from watchword.events.verification import Facts, Signals
from watchword.kernel.document import read_stored
from watchword.kernel.policy import Policy
from watchword.kernel.verification import AttemptState, State
from watchword.runtime.postgres import statements
from watchword.timers.decide import DueVerification, OverdueAttempt, UnreportedAttempt

log = structlog.get_logger()
SQL = statements("watchword.timers")
_WRITE_NAMES = (
    "expire", "assume_assessed", "look_again", "tell_interrupted", "requeue", "give_up", "assume_receipt",
    "await_no_receipt",
)  # fmt: skip
WRITES_IN_LOCK_ORDER = {name: SQL[name] for name in _WRITE_NAMES}


def due_of(row: asyncpg.Record) -> DueVerification:
    """A row of the statement `due_verifications`."""
    return DueVerification(
        about=_about(row),
        state=State(row["state"]),
        created_at=row["created_at"],
        rules=_rules(row["verification_id"], row["rules"]),
        signals=msgspec.convert(row["signals"], Signals),
        sends_requested=row["sends_requested"],
        sends_assessed=row["sends_assessed"],
        sends_issued=row["sends_issued"],
        checks_used=row["checks_used"],
        checks_told=row["checks_told"],
        checks_max=row["checks_max"],
        overdue_since=row["due_at"],
    )


def stale_of(row: asyncpg.Record) -> OverdueAttempt:
    """A row of the statement `stale_claims`."""
    return _attempt(
        row, first_try_at=row["first_try_at"], tried=tuple(row["tried"]), left=row["left"], template=row["template"]
    )


def late_of(row: asyncpg.Record) -> OverdueAttempt:
    """A row of the statements `late_attempts` and `abandoned_attempts`."""
    return _attempt(row)


def unreported_of(row: asyncpg.Record) -> UnreportedAttempt:
    """A row of the statement `unreported`."""
    return UnreportedAttempt(
        about=_about(row),
        verification=State(row["state"]),
        attempt_id=row["attempt_id"],
        account=row["account"],
        provider_id=row["provider_id"],
        receipt_rank=row["receipt_rank"],
        left=row["left"],
        overdue_since=row["overdue_since"],
    )


def _attempt(row: asyncpg.Record, **further: object) -> OverdueAttempt:
    return OverdueAttempt(
        about=_about(row),
        state=AttemptState(row["state"]),
        **{name: row[name] for name in _PLAIN},
        **further,  # type: ignore[arg-type]
    )


_PLAIN = (
    "attempt_id", "send_no", "try_no", "code_version", "send_deadline", "recovery", "account", "gateway",
    "overdue_since",
)  # fmt: skip


def _rules(verification: UUID, rules: Mapping[str, Any]) -> Policy | None:
    try:
        return read_stored(rules, Policy)
    except msgspec.ValidationError as error:
        log.error("timers.rules_unreadable", verification=str(verification), error=str(error))
        return None


def _about(row: asyncpg.Record) -> Facts:
    return Facts(**{name: row[name] for name in Facts.__struct_fields__})
