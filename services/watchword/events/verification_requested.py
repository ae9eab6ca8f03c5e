"""Intake accepted a request: the verification exists, and its first send awaits assessment."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.verification import Signals, VerificationEvent


class VerificationRequested(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`send_no` is always 1; `own_code` says that the platform brought its code, sealed in Postgres; `asked_by`
    is the name of the API key that was used, "" over Kafka."""

    NAME: ClassVar[str] = "verification-requested"
    MINOR: ClassVar[int] = 2
    TOPIC: ClassVar[str] = topics.REQUESTS

    send_no: int = 1
    locale: str = ""
    template: str = ""
    binding_hash: str = ""
    own_code: bool = False
    signals: Signals = Signals()
    asked_by: str = ""
