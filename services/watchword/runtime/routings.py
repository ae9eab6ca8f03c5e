"""What is wrong with routes and prices, beyond the form of their fields. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from watchword.kernel.tenancy import HEDGE_AFTER_MIN_S, Choosing, Route

if TYPE_CHECKING:
    from watchword.runtime.configuration_file import Documents

PREFIX = re.compile(r"\+[1-9][0-9]{0,6}")


class Priced(Protocol):
    """An account, as a file has it or as workers do."""

    @property
    def price_micros(self) -> int: ...

    @property
    def prices(self) -> Mapping[str, int]: ...

    @property
    def currency(self) -> str: ...


def faults_of(documents: "Documents") -> Iterator[str]:
    """What keeps the file from being applied, each with its place and its mend."""
    for account in documents.accounts:
        for prefix in account.prices:
            if not PREFIX.fullmatch(prefix):
                yield (
                    f'[[accounts]] "{account.id}": prices: "{prefix}" must be a plus and up to 7 leading digits of '
                    'numbers, such as "+91"'
                )
    for route in documents.routes:
        yield from (f'[[routes]] "{route.id}": {fault}' for fault in _faults(route))


def dear(route: Route, accounts: Mapping[str, Priced]) -> Iterator[str]:
    """What keeps the price cap of a route from meaning anything for those of its `accounts` that are known."""
    if not route.price_max_micros:
        return
    for name in route.accounts:
        account = accounts.get(name)
        if account is None:
            continue
        where = f'[[routes]] "{route.id}" caps the price, and account "{name}"'
        if account.currency != route.price_currency:
            yield (
                f"{where} is priced in {account.currency}, not in {route.price_currency}: say price_currency as the "
                "account's, or leave the account out"
            )
        elif not account.price_micros:
            yield f"{where} has no price_micros, which is what a part costs where prices names no prefix: say it"


def _faults(route: Route) -> Iterator[str]:
    if len(set(route.accounts)) < len(route.accounts):
        yield "accounts name one twice"
    if 0 < route.hedge_after_s < HEDGE_AFTER_MIN_S:
        yield f"hedge_after_s is 0 for never, or at least {HEDGE_AFTER_MIN_S}: most messages arrive by then"
    if route.hedge_after_s and len(route.accounts) < 2:
        yield "hedge_after_s needs a second account, which the message would be sent by"
    if route.choice is not Choosing.WEIGHTS:
        if route.weights:
            yield f'weights are for choice = "weights", and choice is "{route.choice}"'
        return
    missing = [name for name in route.accounts if name not in route.weights]
    if missing:
        yield f'choice = "weights" needs a weight for each account: {", ".join(missing)} have none'
    strange = [name for name in route.weights if name not in route.accounts]
    if strange:
        yield f"weights name {', '.join(strange)}, not among its accounts"
