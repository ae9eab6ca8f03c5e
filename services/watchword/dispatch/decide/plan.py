"""Which account makes the next try of a send."""

from collections.abc import Iterable, Sequence

from watchword.dispatch.decide.facts import Choice, Health, Nobody, Reason, Routing, Try
from watchword.gateways.contract import Account
from watchword.gateways.outcome import OutcomeClass

NO_ROUTE = Nobody("no_route", hopeless=True)
ACCOUNTS_REFUSED = Nobody("accounts_refused", hopeless=True)
ACCOUNTS_AWAY = Nobody("accounts_away", hopeless=False)

# What these say does not change within a send: asking the same account again would only cost a try.
_FINAL_FOR_ACCOUNT = frozenset({OutcomeClass.ACCOUNT, OutcomeClass.CONFIGURATION})


def plan(send_no: int, tries: Sequence[Try], routing: Routing) -> Choice | Nobody:
    """The account for the next try after `tries`, or why there is none.

    An account that this send has not used comes before one that it has, and of the used ones the one used longest
    ago. A
    resend begins with the next account of the route: what the user did not get may be the first one's fault.
    """
    if not routing.accounts:
        return NO_ROUTE
    refused = {each.account for each in tries if each.outcome in _FINAL_FOR_ACCOUNT}
    usable = [account for account in _from(routing.accounts, send_no) if account.id not in refused]
    if not usable:
        return ACCOUNTS_REFUSED
    used = {each.account: each.try_no for each in tries}
    fresh = [account for account in usable if account.id not in used]
    for health in (Health.READY, Health.BUSY):
        if found := _of_health(fresh, health, routing):
            return Choice(found[0], _reason(send_no, used, found[0] is usable[0]))
    if again := _of_health(usable, Health.READY, routing):
        return Choice(min(again, key=lambda account: used.get(account.id, 0)), Reason.RETRY)
    return ACCOUNTS_AWAY


def _of_health(accounts: Iterable[Account], health: Health, routing: Routing) -> list[Account]:
    return [account for account in accounts if routing.health.get(account.id, Health.AWAY) is health]


def _from(accounts: Sequence[Account], send_no: int) -> Iterable[Account]:
    start = (send_no - 1) % len(accounts)
    return (*accounts[start:], *accounts[:start])


def _reason(send_no: int, used: Iterable[str], preferred: bool) -> Reason:
    if any(used) or not preferred:
        return Reason.FAILOVER
    return Reason.FIRST if send_no == 1 else Reason.RESEND
