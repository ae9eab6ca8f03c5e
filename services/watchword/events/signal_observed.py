"""What was seen per feature key, gathered over a batch, for the judge to sum up over time. Version 2; version 1 told
neither where a number lies nor what was known of its tenant."""

from typing import Any, ClassVar

import msgspec

from watchword.events import topics
from watchword.events.verification import OpenEnum
from watchword.kernel.event import Event, Instant


class SignalKind(OpenEnum):
    """What happened to one verification, as far as a feature is concerned; or, `lifted`, to the feature itself."""

    SENT = "sent"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    REFUSED = "refused"
    WRONG = "wrong"
    DELIVERED = "delivered"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    LIFTED = "lifted"
    UNKNOWN = "unknown"


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing seen for one feature key such as "range:+9989939". `signal_id` tells repeats apart.

    `country` is where the number lies; `place` who asked (of a number) or the country asked for (of who asks);
    `expected` the share of the tenant's sends that is verified and `surge` how many times more than usual it sends,
    both as the judge told them last, 0 for never; `delay_s` the seconds until a code was verified, below 0 unknown;
    `suspect` says that something piled up where the send went, `novel` that nobody was verified from there before.
    """

    feature: str
    kind: SignalKind
    at: Instant
    signal_id: str
    country: str = ""
    place: str = ""
    expected: float = 0.0
    surge: float = 0.0
    delay_s: float = -1.0
    suspect: bool = False
    novel: bool = False


class SignalObserved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The observations of one batch whose feature keys fall into one shard of the signals topic."""

    NAME: ClassVar[str] = "signal-observed"
    MAJOR: ClassVar[int] = 2
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.SIGNALS

    shard: int
    observations: tuple[Observation, ...]


def from_v1(event: dict[str, Any]) -> dict[str, Any]:
    """Version 1 said less; what it did not say reads as not known."""
    return event


UPCASTERS = {1: from_v1}
