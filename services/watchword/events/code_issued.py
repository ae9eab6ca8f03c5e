"""A code exists for the verification. The code itself stays in Postgres: sealed for sending, as a MAC for checks."""

from typing import ClassVar

from watchword.events import topics
from watchword.events.verification import VerificationEvent


class CodeIssued(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`code_version` counts the codes of the verification from 1; `send_no` is the send it was issued for;
    `digits` is its length; `own` says that the platform brought it. `silent` says that there is none: fraud refused the
    send and nobody is to notice, so nothing is sent and no code is right."""

    NAME: ClassVar[str] = "code-issued"
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    code_version: int
    send_no: int
    digits: int
    template: str = ""
    template_version: int = 0
    locale: str = ""
    own: bool = False
    silent: bool = False
