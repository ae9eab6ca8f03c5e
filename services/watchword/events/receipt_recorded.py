"""A delivery report raised what is known of an accepted attempt."""

from typing import ClassVar
from uuid import UUID

from watchword.events import topics
from watchword.events.verification import OpenEnum, VerificationEvent
from watchword.kernel.event import Instant


class ReceiptWord(OpenEnum):
    """The receipt lattice of kernel/verification.py as it is written on the wire."""

    SUBMITTED = "submitted"
    ENROUTE = "enroute"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    DELIVERED_IMPLIED = "delivered_implied"
    DELIVERED = "delivered"


class ReceiptRecorded(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`lag_ms` runs from the gateway's acceptance to our receiving the report; `provider_time` is the carrier's
    claim and never orders anything."""

    NAME: ClassVar[str] = "receipt-recorded"
    MINOR: ClassVar[int] = 1
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    attempt_id: UUID
    account: str
    state: ReceiptWord
    provider_id: str = ""
    raw_code: str = ""
    network: str = ""
    provider_time: Instant | None = None
    lag_ms: int = 0
