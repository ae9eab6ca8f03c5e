"""Requests of intake as values, for tests that need no door: fill in what matters, the rest is a plain one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat

from watchword.events.verification import Facts, Signals
from watchword.intake.decide import Standing
from watchword.intake.request import Asker, Start
from watchword.kernel.phone import PhoneNumber, parse
from watchword.kernel.policy import Policy
from watchword.kernel.tenancy import Tenant
from watchword.kernel.verification import State

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WIDE = 1_000_000
SHOP = Tenant(
    id="shop",
    countries=["IN"],
    requests_per_second=WIDE,
    requests_burst=WIDE,
    country_per_hour=WIDE,
    range_per_hour=WIDE,
    ip_per_hour=WIDE,
)
RULES = Policy(id="default", tenant="shop", template="default")


def phone(e164: str = "+919876543210") -> PhoneNumber:
    """A number as the parser understands it."""
    found = parse(e164, default_region="", allowed_countries=("IN", "GB", "UZ"))
    assert isinstance(found, PhoneNumber)
    return found


def start(e164: str = "+919876543210", **changes: Any) -> Start:
    """A start of tenant `shop`; the token is the number's digits, readable in a failed test."""
    values: dict[str, Any] = {
        "asker": Asker(SHOP),
        "verification_id": uuid_utils.compat.uuid7(),
        "number": phone(e164),
        "number_token": f"token-of-{e164[1:]}",
        "purpose": "login",
        "channel": "sms",
        "rules": RULES,
        "policy_version": 3,
        "locale": "en",
        "template": "default",
        "reference": "ref-1",
        "binding": {},
        "binding_hash": "",
        "signals": Signals(),
        **changes,
    }
    return Start(**values)


def standing(**changes: Any) -> Standing:
    """A live verification that was asked for at NOW."""
    identity: UUID = changes.pop("verification_id", uuid_utils.compat.uuid7())
    expires_at = changes.pop("expires_at", NOW + timedelta(seconds=300))
    about = Facts(
        verification_id=identity,
        tenant="shop",
        number_token="token-of-919876543210",
        country="IN",
        range="+91987654",
        purpose="login",
        channel="sms",
        policy="default",
        policy_version=3,
        expires_at=expires_at,
    )
    values: dict[str, Any] = {
        "about": about,
        "state": State.ISSUED,
        "rules": RULES,
        "binding_hash": "",
        "signals": Signals(),
        "sends_requested": 1,
        "sends_assessed": 1,
        "sends_issued": 1,
        "checks_used": 0,
        "created_at": NOW,
        "next_send_at": NOW + timedelta(seconds=30),
        "shown_number": "+91••••••3210",
        **changes,
    }
    return Standing(**values)
