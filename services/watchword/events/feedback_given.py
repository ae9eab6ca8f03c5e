"""A platform said of a verification whether its user turned out to be one."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.verification import Signals, VerificationEvent


class FeedbackGiven(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`good` is the platform's word; `feedback_no` counts how often it changed its mind, from 1; `sent` says whether a
    code had been let out at all: what was refused teaches nothing. `signals` are the tokens fraud counts it under."""

    NAME: ClassVar[str] = "feedback-given"
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    good: bool
    feedback_no: int
    sent: bool = False
    signals: Signals = Signals()
