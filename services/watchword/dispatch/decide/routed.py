"""What a route makes of its accounts for one destination: whom it bars, and in which order the others stand."""

from collections.abc import Callable, Mapping, Sequence

from watchword.dispatch.decide.drawing import drawn, order_of
from watchword.dispatch.decide.facts import Health, Routing
from watchword.events.attempt_made import PassedWord
from watchword.events.verification import Facts, VerificationEvent
from watchword.gateways.contract import Account
from watchword.kernel.tenancy import Route

Known = Callable[[str, str], tuple[float, float]]
"""By account and country: codes typed in time of late, and codes that were not."""


def bar(route: Route, account: Account, range_: str) -> PassedWord | None:
    """Why the route passes the account over for a number of that range; None if it does not. A price that is not known
    bars nobody: `watchword apply` asks for one where there is a cap."""
    if not route.price_max_micros:
        return None
    if account.currency != route.price_currency:
        return PassedWord.CURRENCY
    return PassedWord.PRICE if account.price_for(range_) > route.price_max_micros else None


def routed(
    route: Route,
    accounts: Sequence[Account],
    health: Mapping[str, Health],
    about: Facts | VerificationEvent,
    known: Known,
) -> Routing:
    """The accounts of `route` in the order in which they are tried. What is drawn is drawn by the verification, so
    that a resend finds the order that the first send had, or one close to it, and begins at its next place."""
    barred = {account.id: word for account in accounts if (word := bar(route, account, about.range))}
    allowed = [account.id for account in accounts if account.id not in barred]
    counts = {account: known(account, about.country) for account in allowed}
    told = drawn(route, allowed, counts, str(about.verification_id))
    if told is None:
        return Routing(tuple(accounts), health, route.id, barred, hedge_after_s=route.hedge_after_s)
    place = {account: number for number, account in enumerate(order_of(told))}
    order = sorted(accounts, key=lambda account: place.get(account.id, len(place)))
    return Routing(tuple(order), health, route.id, barred, told, route.hedge_after_s)
