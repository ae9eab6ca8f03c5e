"""Fraud looked at one send request and said what should become of it, and why."""

from typing import ClassVar

import msgspec

from watchword.events import topics
from watchword.events.risk_level_set import Reason
from watchword.events.verification import OpenEnum, VerificationEvent
from watchword.kernel.event import Instant


class Action(OpenEnum):
    """What the assessment asks for. An action a reader does not know is treated as `allow`."""

    ALLOW = "allow"
    DELAY = "delay"
    CHALLENGE = "challenge"
    BLOCK = "block"
    UNKNOWN = "unknown"


class Mode(OpenEnum):
    """`monitor` records what it would have done and allows; `enforce` does it; `timeout` and the policy's open or
    closed choice stand where no assessment came in time."""

    MONITOR = "monitor"
    ENFORCE = "enforce"
    TIMEOUT_OPEN = "timeout_open"
    TIMEOUT_CLOSED = "timeout_closed"
    UNKNOWN = "unknown"


class ModeReason(OpenEnum):
    """Why the mode is what it is. `configured`: the tenant's document says so. `new_tenant`: its first days and sends
    are monitored; `days_passed` and `sends_passed` say which of the two was over first. `no_tenant`: nobody knows the
    tenant any more, which refuses nothing."""

    CONFIGURED = "configured"
    NEW_TENANT = "new_tenant"
    DAYS_PASSED = "days_passed"
    SENDS_PASSED = "sends_passed"
    NO_TENANT = "no_tenant"
    UNKNOWN = "unknown"


class Shadow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a candidate ruleset would have done in enforce mode. Nothing follows from it."""

    ruleset: str
    action: Action
    score: int
    reasons: tuple[Reason, ...] = ()


class VerificationAssessed(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`action` is what happens, `would` what enforce mode would have done; `score` runs from 0 to 100;
    `features` holds the values the rules saw, so that the decision can be made again from this event; `mode_reason`
    says why the mode is what it is; `shadow` what a candidate ruleset would have done. `silent` says of a block that
    nobody is told: no message leaves, and the verification goes on as if one had."""

    NAME: ClassVar[str] = "verification-assessed"
    MINOR: ClassVar[int] = 2
    TOPIC: ClassVar[str] = topics.ASSESSMENTS

    send_no: int
    action: Action
    mode: Mode
    score: int
    ruleset: str
    would: Action = Action.ALLOW
    not_before: Instant | None = None
    reasons: tuple[Reason, ...] = ()
    features: dict[str, float] = {}
    mode_reason: ModeReason = ModeReason.UNKNOWN
    shadow: Shadow | None = None
    silent: bool = False
