"""What was seen per feature key, gathered over a batch, for the judge to sum up over time."""

from typing import ClassVar

import msgspec

from watchword.events import topics
from watchword.events.verification import OpenEnum
from watchword.kernel.event import Event, Instant


class SignalKind(OpenEnum):
    """What happened to one verification, as far as a feature is concerned."""

    SENT = "sent"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    UNKNOWN = "unknown"


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing seen for one feature key such as "range:+9989939". `signal_id` tells repeats apart."""

    feature: str
    kind: SignalKind
    at: Instant
    signal_id: str


class SignalObserved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The observations of one batch whose feature keys fall into one shard of the signals topic."""

    NAME: ClassVar[str] = "signal-observed"
    TOPIC: ClassVar[str] = topics.SIGNALS

    shard: int
    observations: tuple[Observation, ...]
