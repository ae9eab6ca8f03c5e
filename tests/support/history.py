"""Whole lives of verifications as events, numbered as the workers number them: what readers of topics are tested on."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils

from watchword.events import envelope as envelopes
from watchword.events.attempt_made import AttemptMade, AttemptResult
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.code_issued import CodeIssued
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.resend_requested import ResendRequested
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, VerificationEvent, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.kernel.event import Emit
from watchword.kernel.ids import AttemptId, attempt_id
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState
from watchword.replay.entry import Entry
from watchword.runtime import outbox
from watchword.runtime.outbox import Origin, OutboxRow

STEP = timedelta(milliseconds=40)


def some_facts(**changes: Any) -> Facts:
    """The shared fields of a new verification."""
    told: dict[str, Any] = {
        "verification_id": UUID(str(uuid_utils.uuid7())), "tenant": "shop", "number_token": "n-0001", "country": "IN",
        "range": "+91987654", "number_type": "mobile", "purpose": "login", "channel": "sms", "policy": "default",
        "policy_version": 1, "reference": "", "expires_at": datetime.now(UTC) + timedelta(seconds=300),
    }  # fmt: skip
    return Facts(**told | changes)


@dataclass(frozen=True)
class Told:
    """One event with its number and its time."""

    emit: Emit
    sequence: int
    at: datetime

    @property
    def event(self) -> VerificationEvent:
        """The event itself."""
        assert isinstance(self.emit.event, VerificationEvent)
        return self.emit.event

    @property
    def row(self) -> OutboxRow:
        """How it is published."""
        return outbox.row(self.emit, Origin("test", self.at), sequence=self.sequence)

    @property
    def id(self) -> str:
        """Its event id."""
        return str(self.row.id)


@dataclass
class History:
    """One verification's life while it is told. Every method tells one event and takes the next number."""

    about: Facts = field(default_factory=some_facts)
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    told: list[Told] = field(default_factory=list)

    def requested(self) -> "History":
        """The beginning."""
        return self._tell(VerificationRequested, self._subject)

    def resent(self, send_no: int) -> "History":
        """A send more is asked for."""
        return self._tell(ResendRequested, self._subject, send_no, send_no=send_no)

    def assessed(self, send_no: int = 1, action: Action = Action.ALLOW) -> "History":
        """A send is assessed."""
        changes: dict[str, Any] = {
            "send_no": send_no,
            "action": action,
            "mode": Mode.ENFORCE,
            "score": 0,
            "ruleset": "r",
        }
        return self._tell(VerificationAssessed, self._subject, send_no, **changes)

    def issued(self, version: int = 1, send_no: int = 1, *, silent: bool = False) -> "History":
        """There is a code."""
        changes: dict[str, Any] = {"code_version": version, "send_no": send_no, "digits": 6, "silent": silent}
        return self._tell(CodeIssued, self._subject, version, **changes)

    def queued(self, send_no: int = 1, try_no: int = 1, recovery: int = 0) -> "History":
        """An attempt waits for dispatch."""
        attempt = self.attempt(send_no, try_no)
        changes: dict[str, Any] = {
            "attempt_id": attempt, "send_no": send_no, "try_no": try_no, "code_version": 1,
            "send_deadline": self.about.expires_at, "recovery": recovery,
        }  # fmt: skip
        return self._tell(SendRequested, str(attempt), recovery, **changes)

    def made(self, send_no: int = 1, try_no: int = 1, result: str = "accepted", **changes: Any) -> "History":
        """An attempt ends."""
        attempt = self.attempt(send_no, try_no)
        told: dict[str, Any] = {
            "attempt_id": attempt, "send_no": send_no, "try_no": try_no, "result": AttemptResult(result),
            "account": "alpha", "gateway": "echo", "outcome": "accepted",
        } | changes  # fmt: skip
        return self._tell(AttemptMade, str(attempt), **told)

    def reported(self, send_no: int = 1, try_no: int = 1, state: str = "delivered", **changes: Any) -> "History":
        """A carrier reports."""
        attempt = self.attempt(send_no, try_no)
        told: dict[str, Any] = {"attempt_id": attempt, "account": "alpha", "state": ReceiptWord(state)} | changes
        return self._tell(ReceiptRecorded, str(attempt), RECEIPT_RANK[ReceiptState(state)], **told)

    def checked(self, check_no: int = 1, result: str = "wrong", checks_max: int = 5) -> "History":
        """A code is checked."""
        left = max(checks_max - check_no, 0)
        changes: dict[str, Any] = {"result": CheckResult(result), "check_no": check_no, "checks_left": left}
        return self._tell(CodeChecked, self._subject, check_no, **changes)

    def ended(self, state: str = "approved", reason: str = "right_code", checks_used: int = 0) -> "History":
        """The verification ends."""
        changes: dict[str, Any] = {
            "state": Ending(state),
            "reason": reason,
            "requested_at": self.began,
            "checks_used": checks_used,
        }
        return self._tell(VerificationEnded, self._subject, **changes)

    def attempt(self, send_no: int = 1, try_no: int = 1) -> AttemptId:
        """The id of one attempt."""
        return attempt_id(self.about.verification_id, send_no, try_no)

    def entries(self) -> list[Entry]:
        """What a reader of the topics sees, one record after the other."""
        return [entry(told, offset) for offset, told in enumerate(self.told)]

    @property
    def _subject(self) -> str:
        return str(self.about.verification_id)

    def _tell(self, kind: type[VerificationEvent], subject: str, ordinal: int = 0, **fields: Any) -> "History":
        event = kind(**shared(self.about), **fields)
        number = len(self.told) + 1
        self.told.append(Told(Emit(event, subject, ordinal, key=self._subject), number, self.began + STEP * number))
        return self


def entry(told: Told, offset: int = 0) -> Entry:
    """A told event as it is read from its topic."""
    row = told.row
    key = (row.key or b"").decode()
    return Entry(
        row.topic, 0, offset, told.at, key, envelopes.read(row.headers), told.event, "", row.headers, row.value
    )


def approved() -> History:
    """The usual life: one send, one wrong code, the right one, a delivery receipt."""
    history = History().requested().assessed().issued().queued().made(price_micros=7_500, currency="USD")
    return history.checked(1).reported().checked(2, "approved").ended(checks_used=2)
