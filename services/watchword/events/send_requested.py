"""One attempt is to be made: dispatch chooses the account, claims the attempt and calls the gateway."""

from typing import ClassVar
from uuid import UUID

from watchword.events import topics
from watchword.events.verification import VerificationEvent
from watchword.kernel.event import Instant


class SendRequested(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`send_deadline` is the moment after which nothing may be sent; `not_before` when a retry is due;
    `tried` the accounts used for this send so far; `left` how many of its attempts may have left;
    `recovery` counts how often the attempt's lease ran out; `template` is the tenant's id of what the text was made
    from."""

    NAME: ClassVar[str] = "send-requested"
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.DISPATCH

    attempt_id: UUID
    send_no: int
    try_no: int
    code_version: int
    send_deadline: Instant
    first_try_at: Instant | None = None
    not_before: Instant | None = None
    tried: tuple[str, ...] = ()
    left: int = 0
    recovery: int = 0
    template: str = ""
