"""Which accounts serve a number, in which order, and why: what dispatch would do, said before it does it."""

from dataclasses import dataclass

from watchword.dispatch.decide.routed import bar
from watchword.events.attempt_made import PassedWord
from watchword.gateways.contract import Account
from watchword.kernel import dlt
from watchword.kernel.document import ANY
from watchword.kernel.phone import PhoneNumber
from watchword.kernel.template import Template
from watchword.kernel.tenancy import Route
from watchword.runtime.configuration import Configuration
from watchword.runtime.senders import Sending, objection


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
    """How a number is served. `range` is the number without its last four digits; the number itself is not told."""

    country: str
    range: str
    number_type: str
    purpose: str
    routes: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    templates: tuple[str, ...] = ()


def explain(number: PhoneNumber, purpose: str, configuration: Configuration) -> Explained:
    """How `number` is served for `purpose`, by what is applied now. Breakers and paces belong to running workers and
    are not looked at; `watchword top` shows them."""
    routes = configuration.routes_for(number.country, number.range, purpose)
    first = routes[0] if routes else None
    return Explained(
        country=number.country,
        range=number.range,
        number_type=number.number_type,
        purpose=purpose,
        routes=tuple(_candidate(each, used=each is first) for each in routes),
        steps=tuple(_step(name, number, first, configuration) for name in first.accounts) if first else (),
        templates=tuple(_registrations(number.country, configuration)),
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


def _step(name: str, number: PhoneNumber, route: Route, configuration: Configuration) -> Step:
    account = configuration.account(name)
    if account is None:
        return Step(name, "", "", 0, "", ("there is no such account: it is passed over",))
    barred = bar(route, account, number.range)
    notes = [*_dear(account, route, barred), *_notes(account, number.country, route)]
    price = account.price_for(number.range)
    word = barred.value if barred else ""
    return Step(account.id, account.gateway, account.sender, price, account.currency, tuple(notes), word)


def _dear(account: Account, route: Route, barred: PassedWord | None) -> list[str]:
    cap = f"{route.price_max_micros / 1_000_000:g} {route.price_currency}"
    match barred:
        case PassedWord.PRICE:
            return [f"it is passed over: a part costs more than the {cap} that {route.id} pays"]
        case PassedWord.CURRENCY:
            return [f"it is passed over: {route.id} pays up to {cap}, and it is priced in {account.currency}"]
    return []


def _notes(account: Account, country: str, route: Route) -> list[str]:
    named = route.country != ANY
    registered = country in account.sender_registered_in
    found = objection(Sending(account.id, account.sender, country, registered, named))
    notes = [found.words] if found else []
    if registered:
        notes.append(f"its sender is registered in {country}")
    if country == dlt.COUNTRY and not account.dlt_telemarketers:
        notes.append("no dlt_telemarketers: the provider must know the chain to the operators itself")
    return notes


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
