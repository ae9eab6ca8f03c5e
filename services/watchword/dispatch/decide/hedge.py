"""Whether a message of which nothing was heard is sent once more beside, by another account (decision 0032)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from watchword.dispatch.decide.facts import Attempt, Choice, Routing, Try, left_of
from watchword.dispatch.decide.plan import beside
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, shared
from watchword.kernel.event import Emit
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import RECEIPT_RANK, AttemptState, ReceiptState

LIFE_LEFT_WAITS: Final = 4  # a minute where the wait is the shortest, 15 s
SENDS_A_HEDGE: Final = 20
HEDGES_KEPT_MAX: Final = 10
_ARRIVED: Final = RECEIPT_RANK[ReceiptState.DELIVERED_IMPLIED]


class Allowance:
    """How many hedges this process may still make: one to begin with, and one for every 20 messages that could have
    one, so that an account which falls silent costs the others a twentieth more and no flood. Ten are kept at most."""

    def __init__(self) -> None:
        self._sends = SENDS_A_HEDGE

    def earn(self) -> None:
        """A message that could have a hedge has left."""
        self._sends = min(self._sends + 1, SENDS_A_HEDGE * HEDGES_KEPT_MAX)

    def take(self) -> bool:
        """Whether one more may be made; then it counts as made."""
        if self._sends < SENDS_A_HEDGE:
            return False
        self._sends -= SENDS_A_HEDGE
        return True


@dataclass(frozen=True, slots=True)
class Silent:
    """An accepted attempt whose time to be heard of is over. `live` says that its verification still waits for a code
    and that nobody asked for another one; `template` the tenant's id of what its text was made from; `receipt` is the
    word of the carrier's last report, "" for none; `tries` are all tries of its send."""

    about: Facts
    attempt_id: UUID
    send_no: int
    code_version: int
    send_deadline: datetime
    live: bool
    receipt: str
    tries: tuple[Try, ...]
    template: str = ""


def hedge_at(attempt: Attempt, routing: Routing, now: datetime) -> datetime | None:
    """When an attempt that was just accepted is worth a second one beside it. None for never: only the first message of
    a verification is, while its code lives for four times as long still, where the route asks for it and has somebody
    else.
    """
    if not routing.hedge_after_s:
        return None
    wait = timedelta(seconds=routing.hedge_after_s)
    first = attempt.send_no == 1 and not attempt.hedges and left_of(attempt.tries) == 0
    if not first or not _in_time(attempt.about, attempt.send_deadline, now + wait, wait):
        return None
    used = {each.account for each in (*attempt.tries, attempt.as_try(AttemptState.ACCEPTED))}
    others = [each for each in routing.accounts if each.id not in used and each.id not in routing.barred]
    return now + wait if others else None


def hedge(silent: Silent, routing: Routing, now: datetime, allowance: Allowance) -> Done:
    """The try that is queued beside, if there is a use and a way: somebody still waits, nothing else is under way or
    has left, no carrier says that it arrived or that it refused the message for what it is, and another account can be
    called now."""
    wait = timedelta(seconds=routing.hedge_after_s)
    wanted = silent.live and routing.hedge_after_s > 0  # a route may have changed its mind
    if not wanted or not _in_time(silent.about, silent.send_deadline, now, wait) or _heard(silent.receipt):
        return Done.unchanged()
    open_ = any(each.state in (AttemptState.QUEUED, AttemptState.SENDING) for each in silent.tries)
    if open_ or left_of(silent.tries) != 1:
        return Done.unchanged()
    if not isinstance(beside(silent.send_no, silent.tries, routing), Choice) or not allowance.take():
        return Done.unchanged()
    return Done(writes=(_queued(silent),))


def _heard(receipt: str) -> bool:
    return bool(receipt) and (receipt == ReceiptState.REJECTED or RECEIPT_RANK[ReceiptState(receipt)] >= _ARRIVED)


def _in_time(about: Facts, send_deadline: datetime, at: datetime, wait: timedelta) -> bool:
    return at < send_deadline and about.expires_at - at >= LIFE_LEFT_WAITS * wait


def _queued(silent: Silent) -> Write:
    verification = silent.about.verification_id
    try_no = max(each.try_no for each in silent.tries) + 1
    identity = attempt_id(verification, silent.send_no, try_no)
    event = SendRequested(
        **shared(silent.about),
        attempt_id=identity,
        send_no=silent.send_no,
        try_no=try_no,
        code_version=silent.code_version,
        send_deadline=silent.send_deadline,
        tried=tuple(each.account for each in silent.tries if each.account),
        left=left_of(silent.tries),
        template=silent.template,
    )
    row = (silent.attempt_id, verification, silent.send_no, try_no, silent.code_version, silent.send_deadline)
    return Write("queue_hedge", str(identity), row, (Emit(event, str(identity), key=str(verification)),))
