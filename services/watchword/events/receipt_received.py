"""A carrier called back. The raw bytes are evidence in a dispute and hold the number, so they travel sealed."""

from typing import ClassVar

from watchword.events import topics
from watchword.kernel.event import Event, Instant


class ReceiptReceived(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`sealed` is the whole callback, sealed and in base64; `received_at` is our clock; `receipt_id` is derived
    from account and bytes, so that a carrier's repeat is the same receipt."""

    NAME: ClassVar[str] = "receipt-received"
    TOPIC: ClassVar[str] = topics.RECEIPTS

    receipt_id: str
    account: str
    gateway: str
    received_at: Instant
    sealed: str
    client_ref: str = ""
    provider_id: str = ""
