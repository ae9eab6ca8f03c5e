"""What every history begins with: keys, one platform with its policies and template, accounts of every gateway class
and the routes to them."""

from collections.abc import Mapping
from datetime import timedelta

from watchword.gateways.contract import Account
from watchword.kernel.phone import PhoneNumber
from watchword.kernel.policy import OnTimeout, Policy, Resend
from watchword.kernel.secret import Phone
from watchword.kernel.template import Template
from watchword.kernel.tenancy import FraudMode, Route, Tenant, most_specific_first
from watchword.runtime.configuration import Configuration
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import KEY_BYTES, Key

LIFE_S = 45
CHECKS_MAX = 3
SENDS_PER_10MIN = 4
LIFE = timedelta(seconds=LIFE_S)

KEYS = Keyring(
    {purpose: (Key(f"key-{number:04d}", bytes([number + 1]) * KEY_BYTES),) for number, purpose in enumerate(Purpose)}
)

SHOP = Tenant(id="shop", countries=["GB"], range_per_hour=10_000, fraud_mode=FraudMode.MONITOR)


def _policy(name: str, resend: Resend, on_timeout: OnTimeout, *, wrong_per_hour: int) -> Policy:
    return Policy(
        id=name,
        tenant=SHOP.id,
        template="default",
        ttl_s=LIFE_S,
        checks_max=CHECKS_MAX,
        sends_max=3,
        gaps_s=[3],
        resend=resend,
        on_assess_timeout=on_timeout,
        sends_per_10min=SENDS_PER_10MIN,
        wrong_per_hour=wrong_per_hour,
    )


POLICIES: Mapping[str, Policy] = {
    "default": _policy("default", Resend.REUSE, OnTimeout.OPEN, wrong_per_hour=6),
    "strict": _policy("strict", Resend.ROTATE, OnTimeout.CLOSED, wrong_per_hour=4),
}


def _account(name: str, gateway: str, **changes: object) -> Account:
    known = {"id": name, "gateway": gateway, "url": "http://127.0.0.1:1", "timeout_ms": 3_000, "price_micros": 100}
    return Account(**(known | changes))  # type: ignore[arg-type]  # columns by name


# One account of each class: one that dedupes by our reference, one that can be asked for it, one that does neither.
ACCOUNTS: Mapping[str, Account] = {
    "dedupes": _account("dedupes", "echo"),
    "asked": _account("asked", "sinch", templates={"*": "as registered"}),
    "blind": _account("blind", "jasmin"),
    "holds": _account("holds", "jasmin", on_unknown="hold"),
}
ONCE_ONLY = frozenset({"dedupes", "asked"})

# What a verification is for says which accounts it goes through.
ROUTES: Mapping[str, list[str]] = {
    "login": ["dedupes", "asked"],
    "payment": ["asked", "blind"],
    "signup": ["blind", "dedupes"],
    "recovery": ["holds"],
}
PURPOSES = tuple(ROUTES)
HEDGED: Mapping[str, int] = {"login": 2, "signup": 2}  # seconds, fewer than a file may say: histories are short

CONFIGURATION = Configuration(
    serial=1,
    tenants={SHOP.id: SHOP},
    policies={(SHOP.id, name): policy for name, policy in POLICIES.items()},
    policy_versions={(SHOP.id, name): 1 for name in POLICIES},
    templates={(SHOP.id, "default"): Template(id="default", tenant=SHOP.id, texts={"en": "{code} is your code."})},
    accounts=ACCOUNTS,
    routes=most_specific_first(
        Route(id=purpose, country="*", purpose=purpose, accounts=accounts, hedge_after_s=HEDGED.get(purpose, 0))
        for purpose, accounts in ROUTES.items()
    ),
)


class Applied:
    """Stands where ConfigurationWatch stands: nothing is applied while a history runs."""

    def current(self) -> Configuration:
        """What was applied."""
        return CONFIGURATION


def number(index: int) -> PhoneNumber:
    """One of a few phones."""
    return PhoneNumber(Phone(f"+4477009001{index:02d}"), "GB", "mobile", "+44770090")
