"""What a route makes of its accounts for one destination: whom it bars, and in which order the others stand."""

from collections.abc import Callable, Mapping, Sequence

from watchword.dispatch.decide.drawing import drawn, order_of
from watchword.dispatch.decide.facts import Destination, Health, Routing
from watchword.events.attempt_made import PassedWord
from watchword.events.verification import Facts, VerificationEvent
from watchword.gateways.catalog import sends_only_registered
from watchword.gateways.contract import Account
from watchword.kernel.senders import passed_over
from watchword.kernel.tenancy import Choosing, Route

Known = Callable[[str, str], tuple[float, float]]
"""By account and country: codes typed in time of late, and codes that were not."""


def bar(route: Route, account: Account, to: Destination) -> PassedWord | None:
    """Why the route passes the account over for a message; None if it does not. What is not known bars nobody: a price
    (`watchword apply` asks for one where there is a cap), or which template it is."""
    if word := _dear(route, account, to):
        return word
    if passed_over(account.sender, to.country, registered=to.country in account.sender_registered_in):
        return PassedWord.SENDER
    missing = sends_only_registered(account, to.country) and not account.text_for(to.template)
    return PassedWord.TEMPLATE if missing else None


def _dear(route: Route, account: Account, to: Destination) -> PassedWord | None:
    if not route.price_max_micros:
        return None
    if account.currency != route.price_currency:
        return PassedWord.CURRENCY
    return PassedWord.PRICE if account.price_for(to.range) > route.price_max_micros else None


def routed(
    route: Route,
    accounts: Sequence[Account],
    health: Mapping[str, Health],
    about: Facts | VerificationEvent,
    known: Known,
    template: str = "",
) -> Routing:
    """The accounts of `route` in the order in which they are tried. What is drawn is drawn by the verification, so
    that a resend finds the order that the first send had, or one close to it, and begins at its next place. `template`
    is the tenant's id of what the text was made from, "" where it is not known."""
    to = Destination(about.country, about.range, f"{about.tenant}/{template}" if template else "")
    barred = {account.id: word for account in accounts if (word := bar(route, account, to))}
    if route.choice is Choosing.ORDERED:
        return Routing(tuple(accounts), health, route.id, barred, hedge_after_s=route.hedge_after_s)
    allowed = [account.id for account in accounts if account.id not in barred]
    counts = {account: known(account, about.country) for account in allowed}
    told = drawn(route, allowed, counts, str(about.verification_id))
    assert told is not None, "every other choice is drawn"
    place = {account: number for number, account in enumerate(order_of(told))}
    order = sorted(accounts, key=lambda account: place.get(account.id, len(place)))
    return Routing(tuple(order), health, route.id, barred, told, route.hedge_after_s)
