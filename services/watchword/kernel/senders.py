"""What each country asks of senders: how it stands towards one, and whether the accounts that a file routes there keep
to it. The countries are a table beside this file."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from watchword.kernel.document import ANY
from watchword.kernel.tenancy import Route

_TABLE = Path(__file__).with_name("senders.toml")
_ON_A_PHONE_CHARS_MAX = 15


class Allowance(StrEnum):
    """Whether a country takes a kind of sender."""

    ALLOWED = "allowed"
    REGISTERED = "registered"
    REFUSED = "refused"


class SenderKind(StrEnum):
    """What a sender is made of. Of what the provider chooses, which is told by "" or by the id of a pool, nothing is
    known."""

    ALPHANUMERIC = "alphanumeric"
    NUMERIC = "numeric"
    PROVIDERS = "provider's choice"


class Standing(StrEnum):
    """How a country stands towards a sender: it comes through, only once it is registered, or not at all."""

    TAKEN = "taken"
    UNREGISTERED = "unregistered"
    REFUSED = "refused"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of senders.toml."""

    countries: list[str]
    because: str
    alphanumeric: Allowance = Allowance.ALLOWED
    numeric: Allowance = Allowance.ALLOWED
    templates: Allowance = Allowance.ALLOWED
    names_refused: list[str] = []


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: list[Rule]


@dataclass(frozen=True, slots=True)
class Sending:
    """An account that is routed to a country under a sender. `named` if a route names the country itself, so that
    nobody can say that it was not meant."""

    account: str
    sender: str
    country: str
    registered: bool
    named: bool


@dataclass(frozen=True, slots=True)
class Objection:
    """What stands against a sender in a country. It is refused, or else only warned of."""

    refuses: bool
    words: str


@cache
def rules() -> Mapping[str, Rule]:
    """The rule of each country that has one."""
    table = msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8")), _Table)
    return {country: rule for rule in table.rules for country in rule.countries}


def kind_of(sender: str) -> SenderKind:
    """What a sender is made of. What is longer than any phone shows is the name of a pool of senders."""
    if not sender or len(sender.removeprefix("+")) > _ON_A_PHONE_CHARS_MAX:
        return SenderKind.PROVIDERS
    return SenderKind.NUMERIC if sender.removeprefix("+").isdecimal() else SenderKind.ALPHANUMERIC


def standing(sender: str, country: str, *, registered: bool) -> Standing:
    """How the country stands towards the sender; `registered` says that it was registered there."""
    rule, kind = rules().get(country), kind_of(sender)
    if rule is None or kind is SenderKind.PROVIDERS:
        return Standing.TAKEN
    allowance = rule.alphanumeric if kind is SenderKind.ALPHANUMERIC else rule.numeric
    if allowance is Allowance.REFUSED or sender.lower() in rule.names_refused:
        return Standing.REFUSED
    # Where texts are registered, they bring their own sender with them.
    needed = allowance is Allowance.REGISTERED and rule.templates is Allowance.ALLOWED
    return Standing.UNREGISTERED if needed and not registered else Standing.TAKEN


def passed_over(sender: str, country: str, *, registered: bool) -> bool:
    """Whether a message from the sender would be lost on its way to the country, or shown as a scam: then another
    account is to carry it. Never where texts are registered, for there the account's own sender is not what is
    written."""
    rule = rules().get(country)
    if rule is None or rule.templates is Allowance.REGISTERED:
        return False
    return standing(sender, country, registered=registered) is not Standing.TAKEN


def objection(sending: Sending) -> Objection | None:
    """What the country has against the sender, with the mend; None where nothing is known against it."""
    stands = standing(sending.sender, sending.country, registered=sending.registered)
    if stands is Standing.TAKEN:
        return None
    lost = passed_over(sending.sender, sending.country, registered=sending.registered)
    what = f'"{sending.sender}" as sender to {sending.country}: {rules()[sending.country].because}'
    what += "; the account is passed over" if lost else ""
    if stands is Standing.REFUSED:
        return Objection(sending.named, f"{what}; route the country through an account with another sender")
    return Objection(False, f'{what}; once it is registered, say sender_registered_in = ["{sending.country}"]')


def sendings(
    routes: Iterable[Route], senders: Mapping[str, tuple[str, frozenset[str]]], countries: Iterable[str]
) -> list[Sending]:
    """Every account with each country it is routed to, once. `senders` are sender and countries of registration by
    account; `countries` those that tenants may send to, which is what "*" stands for."""
    found: dict[tuple[str, str], Sending] = {}
    anywhere = sorted(set(countries))
    for route in routes:
        named = route.country != ANY
        for country in [route.country] if named else anywhere:
            for account in route.accounts:
                sender, registered_in = senders.get(account, ("", frozenset()))
                told = Sending(account, sender, country, country in registered_in, named)
                if named or (account, country) not in found:
                    found[(account, country)] = told
    return list(found.values())


def wants_registered_templates(country: str) -> bool:
    """Whether texts to that country must be registered."""
    rule = rules().get(country)
    return rule is not None and rule.templates is Allowance.REGISTERED
