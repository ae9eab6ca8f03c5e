"""The judge's newest word on one feature key. The topic is compacted: the last one per key stands."""

from typing import ClassVar

import msgspec

from watchword.events import topics
from watchword.events.verification import OpenEnum
from watchword.kernel.event import Event, Instant


class RiskLevel(OpenEnum):
    """How a feature key looks: `blocked` refuses in enforce mode, `elevated` only adds to the score."""

    NORMAL = "normal"
    ELEVATED = "elevated"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One contribution to a decision: what was measured, the threshold it met, and its weight in the score."""

    code: str
    value: float
    threshold: float
    weight: float = 0.0
    feature: str = ""


class RiskLevelSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`until` is when the level falls back to normal if nothing is heard again."""

    NAME: ClassVar[str] = "risk-level-set"
    TOPIC: ClassVar[str] = topics.RISK_LEVELS

    feature: str
    level: RiskLevel
    until: Instant
    ruleset: str
    reasons: tuple[Reason, ...] = ()
