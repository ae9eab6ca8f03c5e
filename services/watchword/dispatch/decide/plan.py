"""Which account makes the next try of a send."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from watchword.dispatch.decide.facts import Choice, Grounds, Health, Nobody, Reason, Routing, Try
from watchword.events.attempt_made import PassedOver, PassedWord
from watchword.gateways.contract import Account
from watchword.gateways.outcome import OutcomeClass

NO_ROUTE = Nobody("no_route", hopeless=True)
ACCOUNTS_REFUSED = Nobody("accounts_refused", hopeless=True)
ACCOUNTS_BARRED = Nobody("accounts_barred", hopeless=True)
ACCOUNTS_AWAY = Nobody("accounts_away", hopeless=False)
NOBODY_ELSE = Nobody("nobody_else", hopeless=True)

# What these say does not change within a send: asking the same account again would only cost a try.
_FINAL_FOR_ACCOUNT = frozenset({OutcomeClass.ACCOUNT, OutcomeClass.CONFIGURATION})

# What ends a send for which every account is barred, where all are for one cause.
_PRICE = frozenset({PassedWord.PRICE, PassedWord.CURRENCY})
_BARRED: Sequence[tuple[frozenset[PassedWord], Nobody]] = (
    (_PRICE, Nobody("price_above_cap", hopeless=True)),
    (frozenset({PassedWord.SENDER}), Nobody("sender_not_registered", hopeless=True)),
    (frozenset({PassedWord.TEMPLATE}), Nobody("template_not_registered", hopeless=True)),
)


def plan(send_no: int, tries: Sequence[Try], routing: Routing) -> Choice | Nobody:
    """The account for the next try after `tries`, or why there is none.

    An account that this send has not used comes before one that it has, and of the used ones the one used longest
    ago. A resend begins with the next account of the route: what the user did not get may be the first one's fault.
    What the route bars is not asked, whatever becomes of the others.
    """
    if not routing.accounts:
        return NO_ROUTE
    allowed = [account for account in routing.accounts if account.id not in routing.barred]
    if not allowed:
        return replace(_all_barred(routing), grounds=_grounds((), routing))
    refused = {each.account for each in tries if each.outcome in _FINAL_FOR_ACCOUNT}
    order = _from(allowed, send_no)
    usable = [account for account in order if account.id not in refused]
    if not usable:
        return replace(ACCOUNTS_REFUSED, grounds=_grounds((), routing))
    used = {each.account: each.try_no for each in tries}
    chosen = _chosen(usable, used, routing)
    if chosen is None:
        return replace(ACCOUNTS_AWAY, grounds=_grounds((), routing))
    before = _before(chosen, order, refused, used, routing.health)
    return Choice(chosen, _reason(send_no, used, chosen, usable, routing), _grounds(before, routing))


def beside(send_no: int, tries: Sequence[Try], routing: Routing) -> Choice | Nobody:
    """The account for a message that another one has taken already: one that this send has not used, or nobody."""
    used = {each.account for each in tries}
    others = tuple(account for account in routing.accounts if account.id not in used)
    if not others:
        return NOBODY_ELSE
    choice = plan(send_no, (), replace(routing, accounts=others))
    if isinstance(choice, Nobody):
        return choice
    passed = [PassedOver(account=each.id, reason=PassedWord.USED) for each in routing.accounts if each.id in used]
    grounds = replace(choice.grounds, passed_over=(*choice.grounds.passed_over, *passed))
    return Choice(choice.account, Reason.HEDGE, grounds)


def _chosen(usable: Sequence[Account], used: Mapping[str, int], routing: Routing) -> Account | None:
    fresh = [account for account in usable if account.id not in used]
    for health in (Health.READY, Health.BUSY):
        if found := _of_health(fresh, health, routing):
            return found[0]
    again = _of_health(usable, Health.READY, routing)
    return min(again, key=lambda account: used.get(account.id, 0), default=None)


def _of_health(accounts: Iterable[Account], health: Health, routing: Routing) -> list[Account]:
    return [account for account in accounts if routing.health.get(account.id, Health.AWAY) is health]


def _from(accounts: Sequence[Account], send_no: int) -> tuple[Account, ...]:
    start = (send_no - 1) % len(accounts)
    return (*accounts[start:], *accounts[:start])


def _reason(
    send_no: int, used: Mapping[str, int], chosen: Account, usable: Sequence[Account], routing: Routing
) -> Reason:
    if chosen.id in used:
        return Reason.RETRY
    if any(used) or chosen is not usable[0]:
        return Reason.FAILOVER
    if send_no > 1:
        return Reason.RESEND
    first = routing.accounts[0]
    if first is chosen:
        return Reason.FIRST
    return Reason.PRICE if routing.barred.get(first.id) in _PRICE else Reason.REGISTRATION


def _all_barred(routing: Routing) -> Nobody:
    """The end of a send that no account may carry. Where they are barred for several causes, its grounds say each."""
    words = {routing.barred[account.id] for account in routing.accounts}
    return next((ends for cause, ends in _BARRED if words <= cause), ACCOUNTS_BARRED)


def _before(
    chosen: Account,
    order: Sequence[Account],
    refused: Iterable[str],
    used: Mapping[str, int],
    health: Mapping[str, Health],
) -> tuple[PassedOver, ...]:
    """Those that stand before the one chosen, and why it was not them."""
    before = order[: order.index(chosen)]
    words = dict.fromkeys(used, PassedWord.USED) | dict.fromkeys(refused, PassedWord.REFUSED)
    return tuple(
        PassedOver(account=each.id, reason=words.get(each.id) or PassedWord(health.get(each.id, Health.AWAY).value))
        for each in before
    )


def _grounds(before: tuple[PassedOver, ...], routing: Routing) -> Grounds:
    barred = tuple(PassedOver(account=account, reason=word) for account, word in routing.barred.items())
    return Grounds(routing.route, (*barred, *before), routing.drawn)
