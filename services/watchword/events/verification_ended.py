"""The verification reached its one terminal state."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.risk_level_set import Reason
from watchword.events.verification import OpenEnum, Signals, VerificationEvent
from watchword.kernel.event import Instant


class Ending(OpenEnum):
    """The terminal states of kernel/verification.py as they are written on the wire."""

    APPROVED = "approved"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LOCKED = "locked"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNKNOWN = "unknown"


class VerificationEnded(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`reason` is one stable word for why; `reasons` the assessment's contributions where it was blocked;
    `requested_at` lets a reader compute the duration from this event alone;
    `signals` the tokens under which fraud counts the ending."""

    NAME: ClassVar[str] = "verification-ended"
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    state: Ending
    reason: str
    requested_at: Instant
    sends_used: int = 0
    checks_used: int = 0
    reasons: tuple[Reason, ...] = ()
    signals: Signals = Signals()
