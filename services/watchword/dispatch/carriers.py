"""The accounts in use: who may call which one now, and what their calls have said of them.

Each account has a lane, a pace, a breaker and one more breaker per country, so that what is slow, throttled or
broken keeps nobody else waiting.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol, TypeVar

import msgspec
import structlog

from watchword.dispatch.awake import Awake
from watchword.dispatch.breaker import Breaker, State, Word
from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.decide.facts import Abilities, Health, Routing
from watchword.dispatch.decide.routed import Known, routed
from watchword.dispatch.hearing import Hearing
from watchword.dispatch.lanes import Lane
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.pacing import Pace
from watchword.dispatch.speaking import Call, Speaker
from watchword.dispatch.store import LEASE_S
from watchword.events.verification import Facts, VerificationEvent
from watchword.gateways.contract import Account
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.sessions import AnyGateway, SessionGateway
from watchword.runtime.clock import monotonic_s
from watchword.runtime.configuration import Configuration

log = structlog.get_logger()

T = TypeVar("T")

CALL_TIMEOUT_MAX_S: Final = LEASE_S / 2 - 0.5
_LINE_PER_CALL: Final = 4
_BUSY_AFTER_S: Final = 0.5
_CONNECTED_AGAIN_S: Final = 0.02
_WORDS: Mapping[OutcomeClass, Word] = {
    OutcomeClass.ACCEPTED: Word.WELL,
    OutcomeClass.TEMPORARY: Word.FAILED,
    OutcomeClass.AMBIGUOUS: Word.FAILED,
    OutcomeClass.ACCOUNT: Word.REFUSED,
}
_LEVELS: Mapping[State, int] = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class ConfigurationSource(Protocol):
    """Whatever knows the applied configuration; `runtime.configuration.ConfigurationWatch` does."""

    def current(self) -> Configuration:
        """The newest snapshot."""


class Leave(msgspec.Struct, frozen=True):
    """Leave to make calls through an account for one country, had since `since_s` on the monotonic clock. Whoever
    holds it gives it back."""

    carrier: "Carrier"
    country: str
    since_s: float


class Carrier:
    """One account in use. Made while the event loop runs."""

    def __init__(
        self,
        account: Account,
        gateway: AnyGateway,
        speaker: Speaker,
        pace: Pace,
        metrics: DispatchMetrics,
        awake: Awake,
        monotonic: Callable[[], float],
    ) -> None:
        self.account = account
        self.gateway = gateway
        self.abilities = Abilities.of(gateway)
        self.speaker = speaker
        self.timeout_s = min(account.timeout_ms / 1000, CALL_TIMEOUT_MAX_S)
        self._metrics = metrics
        self._lane: Lane[asyncio.Future[bool]] = Lane(account.inflight_max, account.inflight_max * _LINE_PER_CALL)
        self._pace = pace
        self._awake = awake
        self._monotonic = monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._breaker = Breaker()
        self._hearing = Hearing()
        self._countries: dict[str, Breaker] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody is calling, or waits to."""
        return self._lane.inside == 0 and self._lane.waiting == 0

    def health(self, country: str, now_s: float, wait_max_s: float) -> Health:
        """Whether it can be called now, for a number of `country`. Without a share of its pace, while its connection is
        being made, or while it is mute, others come first."""
        own = self._countries.get(country)
        if self._lane.full or not self._breaker.lets_through(now_s) or not (own is None or own.lets_through(now_s)):
            return Health.AWAY
        if not self._pace.shared(now_s) or not self.speaker.ready or self._mute(now_s):
            return Health.BUSY
        wait_s = self._pace.delay_s(now_s) + self._lane.waiting / self._pace.rate
        if wait_s > wait_max_s:
            return Health.AWAY
        return Health.BUSY if self._lane.crowded or wait_s > _BUSY_AFTER_S else Health.READY

    async def enter(self, country: str, deadline_s: float, wait_max_s: float, resting: asyncio.Event) -> Leave | None:
        """Leave to call, after waiting for room and a moment, the nearest deadline first; None where that takes too
        long or `resting` is set."""
        started_s = self._monotonic()
        if self._pace.shared(started_s) and self._pace.delay_s(started_s) > wait_max_s:
            return None
        if not await self._turn(deadline_s, wait_max_s, resting):
            return None
        if not self._pass_breakers(country):
            self._step_out()
            return None
        entered_s = self._monotonic()
        self._metrics.account_wait_seconds.observe(entered_s - started_s, account=self.account.id)
        return Leave(self, country, entered_s)

    def give_back(self, leave: Leave, outcome: Outcome | None) -> None:
        """The calls are over; `outcome` is what the last one said of the account, None if there was none."""
        now_s = self._monotonic()
        word = _WORDS.get(outcome.kind, Word.SILENT) if outcome is not None else Word.SILENT
        if outcome is not None and outcome.kind is OutcomeClass.THROTTLED:
            self._pace.throttled(now_s, outcome.retry_after_ms / 1000)
        elif outcome is not None and word is not Word.FAILED:
            self._pace.answered(now_s)
        if word is Word.FAILED and leave.since_s < self._awake.look(now_s):
            word = Word.SILENT  # this process stood still meanwhile: it may have failed for that
        # The first of many calls that nobody answers says what the others would say after it.
        gone = word is Word.FAILED and self._mute(now_s)
        self._tell(self._breaker, "", Word.GONE if gone else word, now_s)
        # Being refused is about us, not about a country.
        self._tell(self._country(leave.country), leave.country, Word.SILENT if word is Word.REFUSED else word, now_s)
        self._step_out()

    async def call(self, call: Call[T], gate: Gate) -> T | Silence:
        """Make one call of its speaker's. Only with leave."""
        started_s = self._monotonic()
        number = self._hearing.began(started_s)
        heard = False
        self._metrics.inflight.add(1, account=self.account.id)
        try:
            answer = await call(gate, self.timeout_s)
            heard = not isinstance(answer, Silence)
            return answer
        finally:
            ended_s = self._monotonic()
            self._hearing.ended(number, ended_s, heard=heard)
            self._metrics.inflight.add(-1, account=self.account.id)
            self._metrics.call_seconds.observe(ended_s - started_s, account=self.account.id)

    def show(self) -> None:
        """Say in metrics who waits, at what pace, whether it answers, and whether the breaker lets calls through."""
        account, now_s = self.account.id, self._monotonic()
        self._metrics.waiting.set(self._lane.waiting, account=account)
        self._metrics.rate.set(self._pace.rate, account=account)
        self._metrics.mute.set(self._mute(now_s), account=account)
        self._metrics.breaker.set(_LEVELS[self._breaker.state(now_s)], account=account)

    async def close(self) -> None:
        """Close its connections."""
        if self._timer is not None:
            self._timer.cancel()
        await self.speaker.close()

    def let_in(self) -> None:
        """As many of those who wait as there is room and pace for; where a moment is to come, it looks again then."""
        if not self._lane.calls:
            return
        now_s = self._monotonic()
        while self._lane.calls and not self._delay_s(now_s):
            self._pace.take(now_s)
            self._lane.let_in().set_result(True)
        delay_s = self._delay_s(now_s)
        if self._lane.calls and self._timer is None and delay_s != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._moment_came)

    def _mute(self, now_s: float) -> bool:
        return self._hearing.mute(now_s, self._awake.look(now_s))

    def _delay_s(self, now_s: float) -> float:
        """Until the next one may go in, or to look again."""
        delay_s = self._pace.delay_s(now_s)
        return delay_s if self.speaker.ready else max(delay_s, _CONNECTED_AGAIN_S)

    def _moment_came(self) -> None:
        self._timer = None
        self.let_in()

    async def _turn(self, deadline_s: float, wait_max_s: float, resting: asyncio.Event) -> bool:
        now_s = self._monotonic()
        if self._lane.open and not self._delay_s(now_s):
            self._pace.take(now_s)
            self._lane.come_in()
            return True
        ticket: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._lane.stand(ticket, deadline_s):
            return False
        self.let_in()
        if ticket.done():
            return True
        rest: asyncio.Future[bool] = asyncio.ensure_future(_set(resting))
        turns: set[asyncio.Future[bool]] = {ticket, rest}
        try:
            await asyncio.wait(turns, timeout=wait_max_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rest.cancel()
            stays = ticket.done() and not resting.is_set()
            if not stays and not self._lane.give_up(ticket):
                self._step_out()
        return stays

    def _step_out(self) -> None:
        self._lane.leave()
        self.let_in()

    def _country(self, country: str) -> Breaker:
        own = self._countries.get(country)
        if own is None:
            own = self._countries[country] = Breaker()
        return own

    def _pass_breakers(self, country: str) -> bool:
        now_s = self._monotonic()
        own = self._country(country)
        if not (self._breaker.lets_through(now_s) and own.lets_through(now_s)):
            return False
        return self._breaker.enter(now_s) and own.enter(now_s)

    def _tell(self, breaker: Breaker, country: str, word: Word, now_s: float) -> None:
        if breaker.leave(word, now_s):
            log.warning("dispatch.breaker_opened", account=self.account.id, country=country)
            self._metrics.breaker_opened.add(account=self.account.id, country=country or "all")


class Carriers:
    """Every account in use, by id, made from the newest configuration when it is first asked for."""

    def __init__(
        self,
        configuration: ConfigurationSource,
        gateways: Mapping[str, AnyGateway],
        speaking: Callable[[Account, AnyGateway], Speaker],
        metrics: DispatchMetrics,
        *,
        wait_max_s: float,
        known: Known,
        monotonic: Callable[[], float] = monotonic_s,
    ) -> None:
        self._configuration = configuration
        self._gateways = gateways
        self._connecting = frozenset(name for name, each in gateways.items() if isinstance(each, SessionGateway))
        self._speaking = speaking
        self._metrics = metrics
        self._wait_max_s = wait_max_s
        self._known = known
        self._monotonic = monotonic
        self._carriers: dict[str, Carrier] = {}
        self._replaced: list[Carrier] = []
        self._paces: dict[str, Pace] = {}
        self._awake = Awake()
        self._pauses_told = 0
        self.resting = asyncio.Event()

    async def start(self) -> None:
        """Connections that are kept are made from now on by `hold`; others by the first call."""

    async def look(self) -> None:
        """Notice that this process turns, or that it stood still. For a turn every `LOOK_EVERY_S`."""
        self._awake.look(self._monotonic())
        if (pauses := self._awake.pauses - self._pauses_told) > 0:
            self._pauses_told += pauses
            self._metrics.pauses.add(pauses)
            log.warning("dispatch.stood_still", pauses=pauses)

    async def hold(self) -> None:
        """See to it that every account whose carrier keeps a connection has it, called or not, for receipts come over
        it; and that those of accounts which are no longer configured end. For a turn every second or so."""
        accounts = self._configuration.current().accounts
        for account in accounts.values():
            if account.gateway in self._connecting:
                self.of(account.id)
        for account_id in [known for known in self._carriers if known not in accounts]:
            self._replaced.append(self._carriers.pop(account_id))
            self._paces.pop(account_id, None)
        await self._close_replaced()

    async def stop(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(carrier.close() for carrier in (*self._carriers.values(), *self._replaced)))
        self._carriers.clear()
        self._replaced.clear()

    def show(self) -> None:
        """Say in metrics how every account fares. For each look: a breaker opens halfway without anybody calling."""
        for carrier in self._carriers.values():
            carrier.show()

    def routing(self, about: Facts | VerificationEvent, template: str = "") -> Routing:
        """The accounts of the most specific route for a destination, and how each fares; while resting, none does.
        `template` is the tenant's id of what is to be sent, "" where it is not known."""
        routes = self._configuration.current().routes_for(about.country, about.range, about.purpose)
        if not routes:
            return Routing((), {})
        carriers = [carrier for name in routes[0].accounts if (carrier := self.of(name))]
        now_s = self._monotonic()
        health = {each.account.id: each.health(about.country, now_s, self._wait_max_s) for each in carriers}
        accounts = [carrier.account for carrier in carriers]
        routing = routed(routes[0], accounts, health, about, self._known, template)
        return routing.closed() if self.resting.is_set() else routing

    def of(self, account_id: str) -> Carrier | None:
        """The account of that id as it is configured now, None if there is none or its gateway is not known."""
        account = self._configuration.current().account(account_id)
        gateway = self._gateways.get(account.gateway) if account is not None else None
        known = self._carriers.get(account_id)
        if account is None or gateway is None:
            return None
        if known is None or (known.account is not account and known.account != account):
            if known is not None:
                self._replaced.append(known)
            known = self._carriers[account_id] = Carrier(
                account,
                gateway,
                self._speaking(account, gateway),
                self._pace(account_id),
                self._metrics,
                self._awake,
                self._monotonic,
            )
        return known

    def share(self, per_second: Mapping[str, float], until_s: float) -> None:
        """What this process may call each account a second, up to `until_s` on the monotonic clock."""
        for account_id, rate in per_second.items():
            self._pace(account_id).share(rate, until_s)
        for carrier in (*self._carriers.values(), *self._replaced):
            carrier.let_in()

    async def enter(
        self, account_id: str, country: str, deadline: datetime, wait_max_s: float | None = None
    ) -> Leave | None:
        """Leave to call an account with a message that must leave by `deadline`, waiting for it within bounds; None if
        it cannot be had."""
        carrier = self.of(account_id)
        if carrier is None or self.resting.is_set():
            return None
        wait_max_s = self._wait_max_s if wait_max_s is None else wait_max_s
        return await carrier.enter(country, deadline.timestamp(), wait_max_s, self.resting)

    def _pace(self, account_id: str) -> Pace:
        """One an account, whatever becomes of its other terms: what was taken under the old ones counts."""
        return self._paces.setdefault(account_id, Pace())

    async def _close_replaced(self) -> None:
        idle = [carrier for carrier in self._replaced if carrier.idle]
        self._replaced = [carrier for carrier in self._replaced if carrier not in idle]
        await asyncio.gather(*(carrier.close() for carrier in idle))


async def _set(event: asyncio.Event) -> bool:
    return await event.wait()
