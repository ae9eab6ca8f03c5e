"""A code was submitted and counted."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.verification import OpenEnum, Signals, VerificationEvent


class CheckResult(OpenEnum):
    """The answer the platform got."""

    APPROVED = "approved"
    WRONG = "wrong"
    LOCKED = "locked"
    BINDING_MISMATCH = "binding_mismatch"
    UNKNOWN = "unknown"


class CodeChecked(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`check_no` counts the checks of the verification from 1; `checks_left` is what remains after it.
    `signals` are the tokens fraud counts a wrong code under; told of no other."""

    NAME: ClassVar[str] = "code-checked"
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    result: CheckResult
    check_no: int
    checks_left: int
    signals: Signals = Signals()
