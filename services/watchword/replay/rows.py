"""The rows that can be rebuilt from the topics, and that the live tables are compared with: one shape for both."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """A verification. `state` and the words are those of the live table; `requested_at` and `ended_at` come from the
    clock of whoever told the event, a moment before the live row's."""

    id: UUID
    tenant: str
    number_token: str
    country: str
    range: str
    number_type: str
    purpose: str
    channel: str
    policy: str
    policy_version: int
    reference: str
    expires_at: datetime
    state: str
    end_reason: str
    seq: int
    sends_requested: int
    sends_assessed: int
    sends_issued: int
    code_version: int
    checks_used: int
    requested_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt to send. `send_no` and `try_no` are 0 where only a receipt has told of it; `receipt_state` is ""
    while no carrier has reported."""

    id: UUID
    verification_id: UUID
    send_no: int
    try_no: int
    state: str
    recovery: int = 0
    account: str = ""
    gateway: str = ""
    outcome: str = ""
    raw_code: str = ""
    provider_id: str = ""
    price_micros: int = 0
    currency: str = ""
    latency_ms: int = 0
    segments: int = 0
    possible_duplicate: bool = False
    receipt_state: str = ""


VERIFICATION_COLUMNS = tuple(field.name for field in fields(VerificationRow))
ATTEMPT_COLUMNS = tuple(field.name for field in fields(AttemptRow))
