"""Attempts and accounts as decisions of dispatch see them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from watchword.dispatch.decide.facts import Abilities, Attempt, Called, Health, Routing, Try
from watchword.events.verification import Facts
from watchword.gateways.contract import Account
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.ids import attempt_id
from watchword.kernel.verification import AttemptState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VERIFICATION = UUID("0195f000-0000-7000-8000-000000000001")
ABOUT = Facts(
    verification_id=VERIFICATION,
    tenant="shop",
    number_token="token",
    country="IN",
    range="+91987654",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=3,
    expires_at=NOW + timedelta(seconds=300),
)
NORTH = Account(id="north", gateway="echo", url="http://127.0.0.1:1", price_micros=100, currency="USD")
SOUTH = replace(NORTH, id="south")
EAST = replace(NORTH, id="east")
BLIND = Abilities(dedupes=False, can_be_asked=False)
DEDUPES = Abilities(dedupes=True, can_be_asked=False)
CAN_BE_ASKED = Abilities(dedupes=False, can_be_asked=True)
CAN_BE_TRACED = Abilities(dedupes=False, can_be_asked=False, can_be_traced=True)


def attempt(**changes: Any) -> Attempt:
    """The first try of a first send, just claimed."""
    told: dict[str, Any] = {
        "about": ABOUT,
        "send_no": 1,
        "try_no": 1,
        "code_version": 1,
        "recovery": 0,
        "send_deadline": NOW + timedelta(seconds=240),
        "first_try_at": NOW,
        "requested_at": NOW - timedelta(seconds=1),
        "owner": "me",
        "live": True,
        "received": False,
        "settled": False,
        "called_before": False,
        "abilities": BLIND,
        "account": NORTH,
        "reason": "first",
        "tier_s": 0,
    } | changes
    told.setdefault("id", attempt_id(told["about"].verification_id, told["send_no"], told["try_no"]))
    return Attempt(**told)


def tried(account: str = "north", state: AttemptState = AttemptState.DEFERRED, outcome: str = "", no: int = 1) -> Try:
    """An earlier try."""
    return Try(no, account, state, outcome, NOW)


def called(kind: OutcomeClass, **changes: Any) -> Called:
    """A gateway's answer."""
    return Called(Outcome(kind, **changes), latency_ms=12)


def routing(*accounts: Account, away: Sequence[Account] = (), busy: Sequence[Account] = ()) -> Routing:
    """A route whose accounts are ready but for those named."""
    health = {account.id: Health.READY for account in accounts}
    health |= {account.id: Health.AWAY for account in away} | {account.id: Health.BUSY for account in busy}
    return Routing(accounts, health)
