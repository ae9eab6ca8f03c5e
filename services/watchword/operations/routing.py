"""Which accounts serve a number, in which order, and why: what dispatch would do, said before it does it."""

from dataclasses import dataclass

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
    """One account in the order of calls. `notes` are what stands against it or must be known of it, in sentences."""

    account: str
    gateway: str
    sender: str
    price_micros: int
    currency: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route that serves the number. Only the first is used; the others say why they are not."""

    route: str
    why: str
    accounts: tuple[str, ...]
    used: bool


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
        routes=tuple(Candidate(each.id, specificity(each), tuple(each.accounts), each is first) for each in routes),
        steps=tuple(_step(name, number.country, first, configuration) for name in (first.accounts if first else ())),
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


def _step(name: str, country: str, route: Route | None, configuration: Configuration) -> Step:
    account = configuration.account(name)
    if account is None:
        return Step(name, "", "", 0, "", ("there is no such account: it is passed over",))
    notes = tuple(_notes(account, country, route))
    return Step(account.id, account.gateway, account.sender, account.price_micros, account.currency, notes)


def _notes(account: Account, country: str, route: Route | None) -> list[str]:
    named = route is not None and route.country != ANY
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
