"""What each event changes, as a small value: all that the fold keeps of an event once it has been read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from watchword.events.attempt_made import AttemptMade
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.code_issued import CodeIssued
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.resend_requested import ResendRequested
from watchword.events.send_requested import SendRequested
from watchword.events.verification import VerificationEvent
from watchword.events.verification_assessed import VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.kernel.verification import AttemptState, ReceiptState, State


@dataclass(frozen=True, slots=True)
class Asked:
    """A send was asked for; number 1 is the beginning, at `at`."""

    send_no: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Assessed:
    """A send was assessed."""

    send_no: int


@dataclass(frozen=True, slots=True)
class Issued:
    """There is a new code; `send_no` is 0 where none was sent, because fraud refused the send and told nobody."""

    version: int
    send_no: int


@dataclass(frozen=True, slots=True)
class Queued:
    """An attempt waits for dispatch, for the first time or after `recovery` lost claims."""

    attempt: UUID
    send_no: int
    try_no: int
    recovery: int


@dataclass(frozen=True, slots=True)
class Made:
    """An attempt came to its end. `result` holds the other columns of its row by name."""

    attempt: UUID
    send_no: int
    try_no: int
    state: AttemptState
    result: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """A carrier told of an attempt."""

    attempt: UUID
    state: ReceiptState
    provider_id: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A code was checked and counted."""

    check_no: int
    approved: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The verification ended, at `at`. `state` is None for a word that this reader does not know."""

    state: State | None
    reason: str
    checks_used: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """Something was told that changes no row but the count of events."""

    name: str


Change = Asked | Assessed | Issued | Queued | Made | Reported | Checked | Ended | Noted

RESULT = (
    "account", "gateway", "outcome", "raw_code", "provider_id", "price_micros", "currency", "latency_ms", "segments",
    "possible_duplicate",
)  # fmt: skip
"""The columns of an attempt that its end tells, named alike in event and table."""


def change_of(event: VerificationEvent, at: datetime) -> Change:
    """What `event`, told at `at`, changes. Total."""
    read = _READ.get(type(event))
    return Noted(event.NAME) if read is None else read(event, at)


def fact_of(change: Change) -> tuple[object, ...]:
    """What names the transition that `change` is, within its verification: two events of one fact carry one id."""
    match change:
        case Asked(send_no=number) | Assessed(send_no=number) | Issued(version=number) | Checked(check_no=number):
            return (type(change).__name__, number)
        case Queued(attempt=attempt, recovery=recovery):
            return ("Queued", attempt, recovery)
        case Made(attempt=attempt):
            return ("Made", attempt)
        case Reported(attempt=attempt, state=state):
            return ("Reported", attempt, state)
        case Ended():
            return ("Ended",)
        case Noted():
            return ()


def _requested(event: Any, at: datetime) -> Change:
    return Asked(event.send_no, at)


def _assessed(event: Any, at: datetime) -> Change:
    return Assessed(event.send_no)


def _issued(event: Any, at: datetime) -> Change:
    return Issued(event.code_version, 0 if event.silent else event.send_no)


def _queued(event: Any, at: datetime) -> Change:
    return Queued(event.attempt_id, event.send_no, event.try_no, event.recovery)


def _made(event: Any, at: datetime) -> Change:
    result = tuple((name, getattr(event, name)) for name in RESULT)
    return Made(event.attempt_id, event.send_no, event.try_no, AttemptState(event.result.value), result)


def _reported(event: Any, at: datetime) -> Change:
    return Reported(event.attempt_id, ReceiptState(event.state.value), event.provider_id)


def _checked(event: Any, at: datetime) -> Change:
    return Checked(event.check_no, event.result is CheckResult.APPROVED)


def _ended(event: Any, at: datetime) -> Change:
    state = None if event.state is Ending.UNKNOWN else State(event.state.value)
    return Ended(state, event.reason, event.checks_used, at)


_READ: Mapping[type[VerificationEvent], Callable[[Any, datetime], Change]] = {
    VerificationRequested: _requested,
    ResendRequested: _requested,
    VerificationAssessed: _assessed,
    CodeIssued: _issued,
    SendRequested: _queued,
    AttemptMade: _made,
    ReceiptRecorded: _reported,
    CodeChecked: _checked,
    VerificationEnded: _ended,
}
