"""The life of one send request in this process: choose, wait for the account, claim, call, conclude, go on.

The order is the guarantee (guarantees.md, section 4): nothing is called before its claim is committed, and what
was called is written down or left to its lease, never forgotten.
"""

import asyncio
import time
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from watchword.dispatch.carriers import Carriers, Leave
from watchword.dispatch.decide.approach import IT_LEFT, NO_ANSWER, Way, after_asking, approach, uncalled
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Abilities, Attempt, Called, Came, Choice, Nobody, Reason, Try
from watchword.dispatch.decide.hedge import Allowance
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY, beside, plan
from watchword.dispatch.decide.tell import Conclusion
from watchword.dispatch.exchange import Exchange, Held
from watchword.dispatch.ledger import Ledger, Recorded
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.opening import Opener
from watchword.dispatch.store import LEASE_S, Ask, Claim
from watchword.events.send_requested import SendRequested
from watchword.gateways.contract import Account
from watchword.gateways.outcome import Outcome
from watchword.kernel.verification import AttemptState
from watchword.runtime.acting import Cause
from watchword.runtime.clock import Clock
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.postgres import AWAY, is_away

log = structlog.get_logger()

FOLLOW_WAIT_S: Final = 1.0
AWAY_PAUSE_S: Final = 0.5


class Work(msgspec.Struct, frozen=True):
    """One send request that is due. `tier_s` is the delay of the retry topic it came through, 0 for none; `tries`
    are all tries of its send so far, known for retries and recoveries only."""

    event: SendRequested
    cause: Cause
    tier_s: int
    tries: tuple[Try, ...] = ()


class Sender:
    """Carries send requests out, many at a time."""

    def __init__(
        self,
        ledger: Ledger,
        carriers: Carriers,
        opener: Opener,
        clock: Clock,
        metrics: DispatchMetrics,
        *,
        owner: str,
        allowance: Allowance,
    ) -> None:
        self._ledger = ledger
        self._carriers = carriers
        self._opener = opener
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._allowance = allowance

    @property
    def resting(self) -> bool:
        """Whether nothing new is begun."""
        return self._carriers.resting.is_set()

    def rest(self) -> None:
        """Claim nothing more, give back what has not been claimed: the partitions leave."""
        self._carriers.resting.set()

    def resume(self) -> None:
        """Work again."""
        self._carriers.resting.clear()

    async def handle(self, work: Work) -> bool:
        """Carry one request out. True once nothing more is owed for its record; False if it was given back
        unclaimed because the worker rests, to be read again by whoever has its partition then."""
        choice, leave = await self._choose(work)
        claim = await self._claim(_ask(work, choice))
        if claim is None:
            _give_back(leave, None)
            if not self.resting:
                self._metrics.repeated.add()
            return not self.resting
        held: Held | None = self._held(work, claim, choice, leave)
        publishing: list[asyncio.Future[bool]] = []
        while held is not None:
            held, recorded = await self._carry_out(work, held)
            publishing += [recorded.published] if recorded is not None else []
        for published in publishing:
            await published
        return True

    async def _choose(self, work: Work) -> tuple[Choice | Nobody, Leave | None]:
        """The account for the next call and leave to call it; the account alone where leave cannot be had."""
        event, own = work.event, _own(work)
        if self._clock.now() >= event.send_deadline and event.recovery == 0:
            return ACCOUNTS_AWAY, None
        if event.recovery > 0 and own is not None and own.account:
            carrier = self._carriers.of(own.account)
            if carrier is None:
                return ACCOUNTS_AWAY, None
            leave = await self._carriers.enter(own.account, event.country, event.send_deadline)
            return Choice(carrier.account, Reason.RECOVERY), leave
        routing = self._carriers.routing(event, event.template)
        chosen = beside if own is not None and own.hedges else plan
        while isinstance(choice := chosen(event.send_no, _earlier(work), routing), Choice):
            leave = await self._carriers.enter(choice.account.id, event.country, event.send_deadline)
            if leave is not None:
                return choice, leave
            routing = routing.without(choice.account)
        return choice, None

    async def _claim(self, ask: Ask) -> Claim | None:
        """The claim, insisted on while Postgres is away; None if it is not to be had or the worker rests."""
        while not self.resting:
            try:
                return await self._ledger.claim(ask)
            except (*AWAY, Overloaded) as error:
                _raise_unless_away(error)
                log.warning("dispatch.claim_failed", error=repr(error))
                await asyncio.sleep(AWAY_PAUSE_S)
        return None

    def _held(self, work: Work, claim: Claim, choice: Choice | Nobody, leave: Leave | None) -> Held:
        own = _own(work)
        account = choice.account if isinstance(choice, Choice) else None
        began = [each.claimed_at for each in work.tries if each.claimed_at is not None]
        attempt = Attempt(
            about=claim.about,
            id=claim.attempt_id,
            send_no=claim.send_no,
            try_no=claim.try_no,
            code_version=claim.code_version,
            recovery=claim.recovery,
            send_deadline=claim.send_deadline,
            first_try_at=min(claim.claimed_at, *began) if began else claim.claimed_at,
            requested_at=claim.requested_at,
            owner=self._owner,
            live=claim.live,
            received=claim.received,
            settled=claim.settled,
            called_before=claim.recovery > 0 and (own is None or own.account != ""),
            abilities=self._abilities(account),
            account=account,
            reason=choice.reason if isinstance(choice, Choice) else "",
            tier_s=work.tier_s,
            template=work.event.template,
            tries=_earlier(work),
            checks_used=claim.checks_used,
            signals=claim.signals,
            grounds=choice.grounds,
            hedges=claim.hedges,
        )
        nobody = choice if isinstance(choice, Nobody) else ACCOUNTS_AWAY
        return Held(attempt, claim.sealed, claim.lease_ends_s, leave, nobody, claim.seq)

    def _abilities(self, account: Account | None) -> Abilities:
        carrier = self._carriers.of(account.id) if account is not None else None
        return carrier.abilities if carrier is not None else Abilities.of(None)

    async def _carry_out(self, work: Work, held: Held) -> tuple[Held | None, Recorded | None]:
        """One attempt to its end; answers the one that follows at once, if there is one."""
        attempt, came = await self._find_out(held)
        routing = self._carriers.routing(attempt.about, attempt.template)
        conclusion = conclude(attempt, came, routing, self._clock.now())
        started_s = time.monotonic()
        recorded = await self._record(work.cause, conclusion, held.seq, until_s=held.lease_ends_s + LEASE_S)
        if recorded is None:
            return None, None
        self._count(conclusion, came, recorded)
        if conclusion.follow is None or not recorded.follows:
            return None, recorded
        follow = conclusion.follow
        leave = await self._carriers.enter(
            follow.choice.account.id, attempt.about.country, attempt.send_deadline, FOLLOW_WAIT_S
        )
        following = attempt.next(follow.id, follow.choice, self._abilities(follow.choice.account), follow.concluded)
        return Held(following, held.sealed, started_s + LEASE_S, leave), recorded

    async def _find_out(self, held: Held) -> tuple[Attempt, Came]:
        """What the attempt came to. Its leave is given back, with what the call said of the account."""
        said: Outcome | None = None
        try:
            attempt, came = await self._come_to(held)
            said = came.outcome if isinstance(came, Called) and came not in (NO_ANSWER, IT_LEFT) else None
            return attempt, came
        finally:
            _give_back(held.leave, said)

    async def _come_to(self, held: Held) -> tuple[Attempt, Came]:
        attempt = held.attempt
        way = approach(attempt, self._clock.now())
        if not isinstance(way, Way):
            return attempt, way
        if held.leave is None:
            return attempt, uncalled(attempt, held.nobody)
        exchange = Exchange(held, held.leave.carrier, self._clock, self._metrics)
        if way is Way.ASK:
            found = await exchange.ask()
            way = after_asking(attempt, found, self._clock.now())
            if not isinstance(way, Way):
                return attempt, way
            attempt = replace(attempt, called_before=False)  # it was never called: the gateway says so itself
            exchange = Exchange(replace(held, attempt=attempt), held.leave.carrier, self._clock, self._metrics)
        return attempt, await exchange.send(self._opener)

    async def _record(
        self, cause: Cause, conclusion: Conclusion, seq: int | None, *, until_s: float
    ) -> Recorded | None:
        """Write the result, insisting while Postgres is away; past `until_s` it is left to whoever finds the
        lease over: the claim in the database says that the gateway may have been called."""
        while True:
            try:
                return await self._ledger.record(cause, conclusion, seq)
            except (*AWAY, Overloaded) as error:
                _raise_unless_away(error)
                log.warning("dispatch.result_delayed", attempt=str(conclusion.attempt.id), error=repr(error))
                if time.monotonic() > until_s:
                    return None
                await asyncio.sleep(AWAY_PAUSE_S)

    def _count(self, conclusion: Conclusion, came: Came, recorded: Recorded) -> None:
        account = conclusion.attempt.account.id if conclusion.attempt.account else "none"
        if not recorded.ours:
            self._metrics.leases_lost.add()
            return
        if conclusion.state is AttemptState.QUEUED:
            self._metrics.taken_up_again.add(account=account)
            return
        if conclusion.hedge_at is not None:
            self._allowance.earn()
        word = came.outcome.kind.value if isinstance(came, Called) else came.word
        self._metrics.attempts.add(outcome=word, account=account)
        if conclusion.possible_duplicate:
            self._metrics.possible_duplicates.add()
        if conclusion.price_micros:
            self._metrics.cost_micros.add(conclusion.price_micros, account=account)


def _ask(work: Work, choice: Choice | Nobody) -> Ask:
    event = work.event
    if isinstance(choice, Nobody):
        return Ask(event.attempt_id, event.recovery)
    return Ask(event.attempt_id, event.recovery, choice.account.id, choice.account.gateway)


def _own(work: Work) -> Try | None:
    return next((each for each in work.tries if each.try_no == work.event.try_no), None)


def _earlier(work: Work) -> tuple[Try, ...]:
    return tuple(each for each in work.tries if each.try_no < work.event.try_no)


def _give_back(leave: Leave | None, said: Outcome | None) -> None:
    if leave is not None:
        leave.carrier.give_back(leave, said)


def _raise_unless_away(error: Exception) -> None:
    if not isinstance(error, Overloaded) and not is_away(error):
        raise error
