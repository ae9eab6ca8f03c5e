"""What decisions about a send are made from, and the bounds they keep (guarantees.md, section 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from watchword.events.attempt_made import Drawn, PassedOver, PassedWord
from watchword.events.verification import Facts, Signals
from watchword.gateways.contract import Account, QueryableGateway, Resend, TraceableGateway
from watchword.gateways.outcome import Outcome
from watchword.gateways.sessions import AnyGateway
from watchword.kernel.gsm7 import Size
from watchword.kernel.verification import MAY_HAVE_LEFT, AttemptState

TRIES_MAX: Final = 4
LEFT_MAX: Final = 2
WINDOW: Final = timedelta(seconds=25)
UNKNOWN_WAIT: Final = timedelta(seconds=8)
RECOVERIES_MAX: Final = 3
NO_TEXT: Final = Size("", 0, 0)
NO_SIGNALS: Final = Signals()


class Health(StrEnum):
    """Whether an account can be called now: `busy` after a short wait, `away` not at all (its breaker is open, or
    too many wait for it already)."""

    READY = "ready"
    BUSY = "busy"
    AWAY = "away"


class Reason(StrEnum):
    """Why this account: the word that attempt-made carries as its route reason. `price`: those before it cost more than
    the route pays; `registration`: their sender or the text is not registered; `hedge`: it is called beside another one
    that took the message and was not heard of again."""

    FIRST = "first"
    PRICE = "price"
    REGISTRATION = "registration"
    RESEND = "resend"
    FAILOVER = "failover"
    RETRY = "retry"
    RECOVERY = "recovery"
    HEDGE = "hedge"


class Destination(msgspec.Struct, frozen=True):
    """Where a message goes, as far as it decides who may carry it. `template` is what its text was made from,
    "tenant/id", "" where that is not known."""

    country: str
    range: str
    template: str = ""


class Routing(msgspec.Struct, frozen=True):
    """The accounts that serve a destination, best first, and how each fares; one that is not told of is away.

    `route` is whose they are; `barred` says of accounts that this route does not take why it does not; `drawn` what
    the order was drawn from, None where it is the route's own; `hedge_after_s` how long it waits to hear of a message
    before another account has it too, 0 for ever.
    """

    accounts: tuple[Account, ...]
    health: Mapping[str, Health]
    route: str = ""
    barred: Mapping[str, PassedWord] = msgspec.field(default_factory=dict)
    drawn: Drawn | None = None
    hedge_after_s: int = 0

    def closed(self) -> "Routing":
        """The same for a worker that is leaving: nobody is called any more, what must be tried again waits."""
        return replace(self, health={})

    def without(self, account: Account) -> "Routing":
        """The same with `account` away."""
        return replace(self, health={**self.health, account.id: Health.AWAY})


class Grounds(msgspec.Struct, frozen=True):
    """What a choice was made from, as attempt-made tells it."""

    route: str = ""
    passed_over: tuple[PassedOver, ...] = ()
    drawn: Drawn | None = None


NO_GROUNDS: Final = Grounds()


class Choice(msgspec.Struct, frozen=True):
    """The account to call, and why this one."""

    account: Account
    reason: Reason
    grounds: Grounds = NO_GROUNDS


class Nobody(msgspec.Struct, frozen=True):
    """No account is called. `hopeless` where waiting would not change it; `word` is stable."""

    word: str
    hopeless: bool
    grounds: Grounds = NO_GROUNDS


class Skipped(msgspec.Struct, frozen=True):
    """The attempt was not made on purpose; `word` says why."""

    word: str


class Called(msgspec.Struct, frozen=True):
    """A gateway was called, by us or by an owner who did not live to tell; or we answered in its place. `latency_ms`
    runs from request to answer, `size` is that of the text. `ends` is the reason why no account could do better."""

    outcome: Outcome
    latency_ms: int = 0
    size: Size = NO_TEXT
    ends: str = ""


Came = Called | Skipped | Nobody


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a gateway offers where it is unknown whether a message left: it dedupes, or it can be asked by our
    reference. One that can be traced tells how far a message came whose id it told us, and nothing of one that it told
    nothing of."""

    dedupes: bool
    can_be_asked: bool
    can_be_traced: bool = False

    @classmethod
    def of(cls, gateway: AnyGateway | None) -> "Abilities":
        """Those of `gateway`; none where the gateway is gone."""
        if gateway is None:
            return cls(dedupes=False, can_be_asked=False)
        return cls(
            dedupes=gateway.resend is Resend.DEDUPES,
            can_be_asked=isinstance(gateway, QueryableGateway),
            can_be_traced=isinstance(gateway, TraceableGateway),
        )

    def tells_later(self, provider_id: str) -> bool:
        """Whether it can be asked how far a message came that it took under that id, "" where it told none."""
        return self.can_be_asked or (self.can_be_traced and bool(provider_id))


class Try(msgspec.Struct, frozen=True):
    """One try of a send as its row tells. `account` is "" where nobody was to be called; one that `hedges` was made
    beside an earlier one that was accepted."""

    try_no: int
    account: str
    state: AttemptState
    outcome: str = ""
    claimed_at: datetime | None = None
    hedges: bool = False

    @property
    def may_have_left(self) -> bool:
        """Whether the user may have a message from it."""
        return self.state in MAY_HAVE_LEFT


def left_of(tries: Iterable[Try]) -> int:
    """How many of `tries` may have reached the user."""
    return sum(each.may_have_left for each in tries)


class Attempt(msgspec.Struct, frozen=True):
    """A claimed attempt. It is ours for the length of its lease.

    `tries` are the tries of the same send before it; `called_before` says that the gateway may have been called about
    it with an end that nobody knows; `live` that its verification still waits for a code; `received` that a receipt has
    come for it, `settled` that one has come for an earlier try. `tier_s` is the delay of the retry topic it came
    through, 0 for none; `template` the tenant's id of what its text was made from. One that `hedges` is made beside an
    earlier try, once and by one account.
    """

    about: Facts
    id: UUID
    send_no: int
    try_no: int
    code_version: int
    recovery: int
    send_deadline: datetime
    first_try_at: datetime
    requested_at: datetime
    owner: str
    live: bool
    received: bool
    settled: bool
    called_before: bool
    abilities: Abilities
    account: Account | None
    reason: str
    tier_s: int
    template: str = ""
    tries: tuple[Try, ...] = ()
    checks_used: int = 0
    signals: Signals = NO_SIGNALS
    grounds: Grounds = NO_GROUNDS
    hedges: bool = False

    def as_try(self, state: AttemptState, outcome: str = "") -> Try:
        """How its row tells of it once it came to `state`."""
        return Try(self.try_no, self.account.id if self.account else "", state, outcome)

    def next(self, identity: UUID, choice: Choice, abilities: Abilities, concluded: Try) -> "Attempt":
        """The attempt that takes over at once where this one was `concluded`."""
        return replace(
            self,
            id=identity,
            try_no=self.try_no + 1,
            recovery=0,
            called_before=False,
            received=False,
            settled=False,
            abilities=abilities,
            account=choice.account,
            reason=choice.reason,
            grounds=choice.grounds,
            tries=(*self.tries, concluded),
        )
