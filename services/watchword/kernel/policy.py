"""The rules of a verification. A policy is versioned, and copied into each verification when it begins, so that a
later edit never touches one that is under way."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from watchword.kernel.document import Count, Document, Name

TTL_MIN_S = 120


class Resend(StrEnum):
    """Whether a resend carries the same code or a new one that replaces it."""

    REUSE = "reuse"
    ROTATE = "rotate"


class OnTimeout(StrEnum):
    """What a late assessment means: send (`open`) or do not (`closed`)."""

    OPEN = "open"
    CLOSED = "closed"


class Policy(Document, frozen=True, kw_only=True):
    """The rules of one kind of verification; a copy of it stays with each verification it began.

    `gaps_s` are the waits before the second, third … send, the last one repeats. Sends and wrong guesses per
    period are counted per number across verifications. `own_code`: the caller may bring the code.
    """

    id: Name
    tenant: Name
    purpose: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_.-]{0,62})?\Z")] = ""
    template: Name
    digits: Annotated[int, Meta(ge=4, le=10)] = 6
    ttl_s: Annotated[int, Meta(ge=30, le=600)] = 300
    allow_short_ttl: bool = False
    checks_max: Annotated[int, Meta(ge=1, le=10)] = 5
    sends_max: Annotated[int, Meta(ge=1, le=10)] = 5
    gaps_s: Annotated[list[Annotated[int, Meta(ge=1, le=3_600)]], Meta(min_length=1, max_length=10)] = msgspec.field(
        default_factory=lambda: [30, 60, 120, 300]
    )
    resend: Resend = Resend.REUSE
    own_code: bool = False
    on_assess_timeout: OnTimeout = OnTimeout.OPEN
    assess_timeout_ms: Annotated[int, Meta(ge=100, le=30_000)] = 1_000
    sends_per_10min: Count = 5
    sends_per_day: Count = 10
    wrong_per_hour: Count = 10
    wrong_per_day: Count = 20

    def gap_before_s(self, send_no: int) -> int:
        """How long after the send before it send `send_no` (from 2) may happen, in seconds."""
        return self.gaps_s[min(send_no - 2, len(self.gaps_s) - 1)]


def send_margin_s(ttl_s: int) -> float:
    """How long before the expiry sending stops: 30 s or a fifth of the life, whichever is longer
    (guarantees.md, section 4)."""
    return max(30.0, ttl_s * 0.2)
