"""Carriers and the phones behind them: who gets a message, what is answered, and what is reported later.

A carrier keeps what it promises of itself: one that dedupes sends one SMS a reference, one that can be asked knows what
it was given. What it does beside that (nothing, late, without a word) is drawn from its mood.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import orjson

from tests.simulation.loop import OWNER, go_by, in_world, use_port
from watchword.dispatch.calling import Gate, Refused, Silence
from watchword.dispatch.speaking import Call
from watchword.gateways.contract import Account, Callback, Message
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import ReceiptState

T = TypeVar("T")

DEDUPING = "echo"
TRAVEL_MAX_S = 0.4
_ANSWERS: Mapping[str, Outcome] = {
    "busy": Outcome(OutcomeClass.TEMPORARY, raw_code="503"),
    "throttled": Outcome(OutcomeClass.THROTTLED, raw_code="429", retry_after_ms=1_000),
    "refused": Outcome(OutcomeClass.DESTINATION, raw_code="no_such_number"),
    "unclear": Outcome(OutcomeClass.AMBIGUOUS, raw_code="500"),
}
_WAITS_S = {"slow": 2.0, "late": 30.0}
# What a carrier may do with one call, and how often, by its mood. `sent`: all is well. `mute`: the SMS goes out and no
# answer comes. `slow` takes two seconds. `late`: the answer comes after everybody has stopped waiting. `lost`: neither
# SMS nor answer. `away`: no connection. The others are the answers above; `unclear` is one where the SMS may have gone
# out all the same.
MOODS: Mapping[str, Mapping[str, int]] = {
    "well": {"sent": 1},
    "shaky": {"sent": 6, "mute": 2, "late": 2, "lost": 2, "busy": 2, "unclear": 2, "throttled": 1},
    "slow": {"slow": 1},
    "mute": {"mute": 3, "lost": 1},
    "busy": {"busy": 4, "throttled": 1, "away": 2},
    "away": {"away": 1},
    "refusing": {"refused": 1},
}


@dataclass(frozen=True, slots=True)
class Passed:
    """One message that was let through the gate: from then on it may have left."""

    account: str
    ref: UUID
    at: datetime


@dataclass
class Carriers:
    """Every carrier and every phone. `sms` counts what phones got by reference; `codes` holds what the
    user reads in the SMS of each attempt; `words` is what is reported of every SMS, drawn where it is empty."""

    draw: random.Random
    now: Callable[[], datetime]
    report: Callable[[Account, Callback], None]
    moods: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: "well"))
    sms: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    passed: list[Passed] = field(default_factory=list)
    codes: dict[UUID, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def fate(self, account: str) -> str:
        """What becomes of the next call."""
        chances = MOODS[self.moods[account]]
        return self.draw.choices(list(chances), weights=list(chances.values()))[0]

    def travel_s(self) -> float:
        """How long a message is on its way to the carrier, or an answer back."""
        return self.draw.random() * TRAVEL_MAX_S

    def arrive(self, account: Account, message: Message, fate: str, answer: "asyncio.Future[Outcome]") -> None:
        """A message comes to its carrier, whatever has become of its sender."""
        if fate == "refused" and account.gateway == DEDUPING and (account.id, message.client_ref) in self.known:
            fate = "sent"  # it is answered with the first message
        goes_out = fate in ("sent", "slow", "mute", "late") or (fate == "unclear" and self.draw.random() < 0.5)
        if goes_out:
            self._deliver(account, message)
        said = _ANSWERS.get(fate)
        if fate in ("sent", "slow", "late"):
            said = Outcome(OutcomeClass.ACCEPTED, "200", self.known[account.id, message.client_ref])
        if said is not None:
            wait_s = self.travel_s() + _WAITS_S.get(fate, 0.0)
            asyncio.get_running_loop().call_later(wait_s, _answer, answer, said)

    def lookup(self, account: Account, ref: str) -> Outcome | None:
        """What a carrier that can be asked knows of a reference."""
        provider_id = self.known.get((account.id, ref))
        return Outcome(OutcomeClass.ACCEPTED, "200", provider_id) if provider_id is not None else None

    def _deliver(self, account: Account, message: Message) -> None:
        ref = message.client_ref
        again = (account.id, ref) in self.known
        if again and account.gateway == DEDUPING:
            return
        provider_id = self.known[account.id, ref] = f"p{len(self.known) + 1:06d}"
        self.sms[ref] += 1
        self.codes[UUID(ref)] = message.variables["code"]
        self._report(account, ref, provider_id)

    def _report(self, account: Account, ref: str, provider_id: str) -> None:
        """What the network says of an SMS: nothing, one report, several, out of order, twice."""
        words = self.words or self.draw.choice(
            (("delivered",), ("delivered",), ("enroute", "delivered"), ("delivered", "enroute"), ("undelivered",),
             ("delivered", "delivered"), ("undelivered", "delivered"), ("delivered", "undelivered"), ())
        )  # fmt: skip
        at_s = 0.0
        for word in words:
            at_s += self.draw.random() * self.draw.choice((0.3, 0.3, 4.0))
            callback = callback_of(account, ref, provider_id, ReceiptState(word))
            asyncio.get_running_loop().call_later(at_s, self.report, account, callback)


class Speaker:
    """How one account is spoken to: the port that HTTP and SMPP stand behind otherwise."""

    def __init__(self, account: Account, carriers: Carriers, *, can_be_asked: bool) -> None:
        self._account = account
        self._carriers = carriers
        self._can_be_asked = can_be_asked

    @property
    def ready(self) -> bool:
        """Always: there is no connection to be made."""
        return True

    def message(self, message: Message) -> Call[Outcome]:
        """The call that sends it."""
        return partial(self._within, partial(self._send, message))

    def question(self, client_ref: str) -> Call[Outcome | None] | None:
        """The call that asks for our reference."""
        return partial(self._within, partial(self._ask, client_ref)) if self._can_be_asked else None

    def inquiry(self, client_ref: str, provider_id: str) -> Call[Outcome | None] | None:
        """The same: our reference is what it knows."""
        return self.question(client_ref)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _within(self, exchange: Callable[[Gate], Awaitable[T]], gate: Gate, timeout_s: float) -> T | Silence:
        try:
            async with asyncio.timeout(timeout_s):
                return await exchange(gate)
        except (TimeoutError, Refused, ConnectionError) as error:
            return Silence(gate.passed, gate.word or type(error).__name__)

    async def _connect(self, fate: str) -> None:
        use_port(OWNER.get())
        await go_by(self._carriers.travel_s())
        if fate == "away":
            raise ConnectionRefusedError

    async def _send(self, message: Message, gate: Gate) -> Outcome:
        carriers, fate = self._carriers, self._carriers.fate(self._account.id)
        await self._connect(fate)
        use_port(OWNER.get())
        gate.pass_once()
        carriers.passed.append(Passed(self._account.id, UUID(message.client_ref), carriers.now()))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        with in_world():
            if fate != "lost":
                loop.call_later(carriers.travel_s(), carriers.arrive, self._account, message, fate, answer)
        return await answer

    async def _ask(self, client_ref: str, gate: Gate) -> Outcome | None:
        fate = self._carriers.fate(self._account.id)
        await self._connect(fate)
        gate.pass_once()
        await go_by(self._carriers.travel_s() + (30.0 if fate in ("mute", "late", "lost") else 0.0))
        use_port(OWNER.get())
        return _ANSWERS["unclear"] if fate in _ANSWERS else self._carriers.lookup(self._account, client_ref)


def callback_of(account: Account, ref: str, provider_id: str, state: ReceiptState) -> Callback:
    """A report in the words of the account's gateway."""
    url = f"https://example.test/receipts/{account.id}"
    match account.gateway:
        case "echo":
            told: dict[str, Any] = {"events": [{"client_ref": ref, "id": provider_id, "state": state.value}]}
        case "sinch":
            word, code = {"delivered": ("Delivered", 0), "undelivered": ("Failed", 404)}.get(state, ("Dispatched", 401))
            told = {"batch_id": provider_id, "client_reference": ref, "status": word, "code": code}
        case _:
            word = {"delivered": "DELIVRD", "undelivered": "UNDELIV"}.get(state, "ENROUTE")
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            body = f"id={provider_id}&message_status={word}".encode()
            return Callback("POST", f"{url}?ref={ref}", form, body)
    return Callback("POST", url, {"Content-Type": "application/json"}, orjson.dumps(told))


def _answer(answer: "asyncio.Future[Outcome]", said: Outcome) -> None:
    if not answer.done():
        answer.set_result(said)
