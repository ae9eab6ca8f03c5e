"""The closed set of answers a gateway can give to one send, whatever the provider calls them."""

from enum import StrEnum

import msgspec

from watchword.kernel.verification import ReceiptState


class OutcomeClass(StrEnum):
    """What one call meant for the message, and so what dispatch does next.

    Each provider's statuses and errors are mapped to these as data; an unknown one falls to a class, never raises.
    """

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    TEMPORARY = "temporary"
    AMBIGUOUS = "ambiguous"
    ACCOUNT = "account"
    CONFIGURATION = "configuration"
    DESTINATION = "destination"
    BLOCKED = "blocked"
    EXPIRED = "expired"


class Outcome(msgspec.Struct, frozen=True):
    """One gateway's answer to one send.

    `provider_id` is the provider's message id, "" where it gave none. `raw_code` is its own status or error, kept
    for reports and never interpreted again. `retry_after_ms` is what a throttling gateway asked for, 0 if nothing.
    `price_micros` counts millionths of `currency`, 0 where unknown. `receipt` is how far the message came, where the
    answer to a lookup says so.
    """

    kind: OutcomeClass
    raw_code: str = ""
    provider_id: str = ""
    retry_after_ms: int = 0
    price_micros: int = 0
    currency: str = ""
    receipt: ReceiptState | None = None
