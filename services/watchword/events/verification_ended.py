"""The verification reached its one terminal state."""

from datetime import datetime
from typing import ClassVar

from watchword.events import topics
from watchword.events.risk_level_set import Reason
from watchword.events.verification import Facts, OpenEnum, Signals, VerificationEvent, shared
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
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    state: Ending
    reason: str
    requested_at: Instant
    sends_used: int = 0
    checks_used: int = 0
    reasons: tuple[Reason, ...] = ()
    signals: Signals = Signals()


def result_of(
    about: Facts, *, state: Ending, reason: str, requested_at: datetime, sends_used: int, checks_used: int
) -> VerificationEnded:
    """How a platform reads an ending: the same words by webhook, on its results topic and over HTTP, all from the
    verification's row. What fraud weighed and the tokens it counts under stay inside."""
    return VerificationEnded(
        **shared(about),
        state=state,
        reason=reason,
        requested_at=requested_at,
        sends_used=sends_used,
        checks_used=checks_used,
    )
