"""The user asked for the code once more and the resend rules allowed it."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.verification import Signals, VerificationEvent


class ResendRequested(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`send_no` counts the sends asked for, from 2; `asked_by` is the name of the API key that was used, "" over
    Kafka."""

    NAME: ClassVar[str] = "resend-requested"
    MINOR: ClassVar[int] = 2
    TOPIC: ClassVar[str] = topics.REQUESTS

    send_no: int
    signals: Signals = Signals()
    asked_by: str = ""
