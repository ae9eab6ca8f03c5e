"""Which accounts serve a number, in which order, and why: what dispatch would do, said before it does it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from watchword.dispatch.decide.drawing import NOTHING_KNOWN, drawn, order_of
from watchword.dispatch.decide.facts import Destination
from watchword.dispatch.decide.routed import bar
from watchword.dispatch.decide.scoring import Key
from watchword.events.attempt_made import PassedWord
from watchword.gateways.catalog import sends_only_registered
from watchword.gateways.contract import EVERY_TEMPLATE, Account
from watchword.kernel import dlt
from watchword.kernel.document import ANY
from watchword.kernel.phone import PhoneNumber
from watchword.kernel.senders import Sending, objection
from watchword.kernel.template import Template
from watchword.kernel.tenancy import Route
from watchword.runtime.configuration import Configuration

DRAWS: Final = 1_000
Counts = Mapping[Key, tuple[float, float]]
"""By account and country: codes typed in time and not, as they count now."""
NO_COUNTS: Final[Counts] = {}
# What decides as well, is known to each running dispatch alone, and is to be read there.
KNOWN_TO_DISPATCH: Final[Mapping[str, str]] = {
    "watchword_dispatch_breaker_state": "whether an account is called at all: 0 closed, 1 half open, 2 open",
    "watchword_dispatch_breaker_opened_total": "breakers that opened, by account and country",
    "watchword_dispatch_rate_level": "calls a second that an account is paced at",
    "watchword_dispatch_waiting_size": "messages that wait for an account; past a bound the next one is taken",
    "watchword_dispatch_connections_size": "kept connections that are ready",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One account in the order of calls. `notes` are what stands against it or must be known of it, in sentences;
    `passed_over` is the word of attempt-made for why it is not called at all, "" if it is."""

    account: str
    gateway: str
    sender: str
    price_micros: int
    currency: str
    notes: tuple[str, ...] = ()
    passed_over: str = ""


@dataclass(frozen=True, slots=True)
class Chance:
    """What an account is drawn by: its weight, or how many codes of late were typed in time and how many were not,
    faded by age. `first_share` is the part of `DRAWS` draws in which it came first."""

    account: str
    weight: int
    verified: float
    unverified: float
    first_share: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route that serves the number. Only the first is used; the others say why they are not."""

    route: str
    why: str
    accounts: tuple[str, ...]
    used: bool
    choice: str = ""
    price_max_micros: int = 0
    price_currency: str = ""
    hedge_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """How a number is served. `range` is the number without its last four digits; the number itself is not told.
    `chances` are those of the accounts that a draw is made among, [] where none is; `known_to_dispatch` are metrics of
    what decides too and is not known here, with their meaning."""

    country: str
    range: str
    number_type: str
    purpose: str
    routes: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    template: str = ""
    templates: tuple[str, ...] = ()
    chances: tuple[Chance, ...] = ()
    known_to_dispatch: Mapping[str, str] = field(default_factory=lambda: KNOWN_TO_DISPATCH)


def explain(
    number: PhoneNumber, purpose: str, configuration: Configuration, template: str = "", counts: Counts = NO_COUNTS
) -> Explained:
    """How `number` is served for `purpose`, by what is applied now. `template` ("tenant/id") is what is sent, "" for
    any; `counts` what scored routes draw by. Breakers and paces belong to running workers and are not looked at."""
    routes = configuration.routes_for(number.country, number.range, purpose)
    first = routes[0] if routes else None
    to = Destination(number.country, number.range, template)
    return Explained(
        country=number.country,
        range=number.range,
        number_type=number.number_type,
        purpose=purpose,
        routes=tuple(_candidate(each, used=each is first) for each in routes),
        steps=tuple(_step(name, to, first, configuration) for name in first.accounts) if first else (),
        template=template,
        templates=tuple(_registrations(number.country, configuration)),
        chances=_chances(first, to, configuration, counts) if first else (),
    )


def specificity(route: Route) -> str:
    """What the route is chosen by, the most telling first: range, then country, then purpose."""
    parts = [
        f"range {route.range_prefix}" if route.range_prefix else "",
        f"country {route.country}" if route.country != ANY else "any country",
        f"purpose {route.purpose}" if route.purpose != ANY else "any purpose",
    ]
    return ", ".join(part for part in parts if part)


def _candidate(route: Route, *, used: bool) -> Candidate:
    cap = (route.price_max_micros, route.price_currency) if route.price_max_micros else (0, "")
    return Candidate(
        route.id, specificity(route), tuple(route.accounts), used, route.choice.value, *cap, route.hedge_after_s
    )


def _chances(route: Route, to: Destination, configuration: Configuration, counts: Counts) -> tuple[Chance, ...]:
    """How often each account that the route does not bar comes first, by drawing as dispatch does."""
    known = [account for name in route.accounts if (account := configuration.account(name))]
    allowed = [account.id for account in known if bar(route, account, to) is None]
    told = drawn(route, allowed, {each: counts.get((each, to.country), NOTHING_KNOWN) for each in allowed}, "")
    if told is None or not allowed:
        return ()
    first = Counter(order_of(structs.replace(told, seed=str(number)))[0] for number in range(DRAWS))
    return tuple(
        Chance(each.account, each.weight, each.verified, each.unverified, first[each.account] / DRAWS)
        for each in told.candidates
    )


def _step(name: str, to: Destination, route: Route, configuration: Configuration) -> Step:
    account = configuration.account(name)
    if account is None:
        return Step(name, "", "", 0, "", ("there is no such account: it is passed over",))
    barred = bar(route, account, to)
    notes = [*_barred(account, route, barred), *_notes(account, to, route)]
    price = account.price_for(to.range)
    word = barred.value if barred else ""
    return Step(account.id, account.gateway, account.sender, price, account.currency, tuple(notes), word)


def _barred(account: Account, route: Route, barred: PassedWord | None) -> list[str]:
    cap = f"{route.price_max_micros / 1_000_000:g} {route.price_currency}"
    match barred:
        case PassedWord.PRICE:
            return [f"it is passed over: a part costs more than the {cap} that {route.id} pays"]
        case PassedWord.CURRENCY:
            return [f"it is passed over: {route.id} pays up to {cap}, and it is priced in {account.currency}"]
        case PassedWord.TEMPLATE:
            return ["it is passed over: its provider has no text for the template, as far as templates says"]
    return []  # what the country has against a sender is among the notes


def _notes(account: Account, to: Destination, route: Route) -> list[str]:
    named = route.country != ANY
    registered = to.country in account.sender_registered_in
    found = objection(Sending(account.id, account.sender, to.country, registered, named))
    notes = [found.words] if found else []
    if registered:
        notes.append(f"its sender is registered in {to.country}")
    if to.country == dlt.COUNTRY and not account.dlt_telemarketers:
        notes.append("no dlt_telemarketers: the provider must know the chain to the operators itself")
    if sends_only_registered(account, to.country):
        notes.append(_registered(account, to.template))
    return notes


def _registered(account: Account, template: str) -> str:
    if template:
        return f"its provider's id for {template}: {account.text_for(template) or 'none'}"
    return f"registered with its provider: {_all_of(sorted(account.templates)) or 'no template'}"


def _all_of(templates: Sequence[str]) -> str:
    return ", ".join("every template" if each == EVERY_TEMPLATE else each for each in templates)


def _registrations(country: str, configuration: Configuration) -> list[str]:
    """What each template is in India, where texts are registered; nothing elsewhere."""
    if country != dlt.COUNTRY:
        return []
    return [_registration(each) for _, each in sorted(configuration.templates.items())]


def _registration(template: Template) -> str:
    name = f"{template.tenant}/{template.id}"
    if template.dlt is None:
        return f"{name}: not registered, the provider must add its registration"
    locales = ", ".join(sorted(template.dlt.registered))
    return f"{name}: header {template.dlt.header}, registered in {locales}"
