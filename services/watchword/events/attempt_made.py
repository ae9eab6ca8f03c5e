"""A gateway was called, or deliberately not called, for one attempt. Version 2; version 1 told the price as text."""

import re
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from watchword.events import topics
from watchword.events.verification import OpenEnum, VerificationEvent


class AttemptResult(OpenEnum):
    """The state the attempt came to."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    SKIPPED_LATE = "skipped_late"
    UNKNOWN = "unknown"


class PassedWord(OpenEnum):
    """Why an account was not taken: above the route's price or in another currency, its sender not taken by the country
    or not registered there, no text of its provider registered for the template, not to be called now or only after a
    wait, used by this send before, refused it before."""

    PRICE = "price"
    CURRENCY = "currency"
    SENDER = "sender"
    TEMPLATE = "template"
    AWAY = "away"
    BUSY = "busy"
    USED = "used"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class DrawnBy(OpenEnum):
    """What an order was drawn by."""

    WEIGHTS = "weights"
    SCORED = "scored"
    UNKNOWN = "unknown"


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was not taken, and the word for why."""

    account: str
    reason: PassedWord


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account in a draw: its weight, or how many codes of late were typed in time and how many were not."""

    account: str
    weight: int = 0
    verified: float = 0.0
    unverified: float = 0.0


class Drawn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the order of a route's accounts was drawn from. `dispatch.decide.drawing.order_of` draws it again."""

    by: DrawnBy
    seed: str
    candidates: tuple[Candidate, ...]
    explore_share: float = 0.0


class AttemptMade(VerificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`outcome` is the gateway's answer as one of the nine classes; `price_micros` counts millionths of
    `currency`; `latency_ms` runs from request to answer; `segments` counts SMS parts.

    `passed_over` are accounts of `route` that came before and were not taken. Where `drawn` is told, the account is the
    first in the order drawn, begun at place `send_no`, that was not passed over."""

    NAME: ClassVar[str] = "attempt-made"
    MAJOR: ClassVar[int] = 2
    MINOR: ClassVar[int] = 2
    TOPIC: ClassVar[str] = topics.LIFECYCLE

    attempt_id: UUID
    send_no: int
    try_no: int
    result: AttemptResult
    outcome: str = ""
    account: str = ""
    gateway: str = ""
    route_reason: str = ""
    client_ref: str = ""
    provider_id: str = ""
    raw_code: str = ""
    encoding: str = ""
    segments: int = 0
    price_micros: int = 0
    currency: str = ""
    latency_ms: int = 0
    possible_duplicate: bool = False
    route: str = ""
    passed_over: tuple[PassedOver, ...] = ()
    drawn: Drawn | None = None


_DIGITS = re.compile(r"[0-9]{1,15}")


def from_v1(event: dict[str, Any]) -> dict[str, Any]:
    """Version 1 told the price as text such as "0.0075 USD"; version 2 counts micros. An unreadable or missing
    price reads as unknown, 0, which is what version 1 meant by leaving it out."""
    newer = {name: value for name, value in event.items() if name != "price"}
    amount, _, currency = str(event.get("price", "")).partition(" ")
    whole, _, fraction = amount.partition(".")
    if currency and _DIGITS.fullmatch(whole + fraction):
        newer["price_micros"] = int(whole or "0") * 1_000_000 + int((fraction + "000000")[:6])
        newer["currency"] = currency
    return newer


UPCASTERS = {1: from_v1}
