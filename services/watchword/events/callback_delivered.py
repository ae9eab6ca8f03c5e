"""A platform's endpoint took (or finally refused) one notification."""

from typing import ClassVar
from uuid import UUID

from watchword.events import topics
from watchword.events.verification import VerificationEvent


class CallbackDelivered(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`about` is the id of the event that was notified; `status` the endpoint's last HTTP status, 0 if it never
    answered; `attempts` how many deliveries it took."""

    NAME: ClassVar[str] = "callback-delivered"
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    endpoint: str
    about: UUID
    status: int
    attempts: int
    gave_up: bool = False
