"""What is said between us and one gateway about one attempt: the message itself, or the question after it."""

import time
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.carriers import Carrier, Leave
from watchword.dispatch.decide.approach import TOO_LATE, uncalled
from watchword.dispatch.decide.facts import Attempt, Called, Came, Nobody, Skipped
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY
from watchword.dispatch.decide.quoting import unquoted
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.opening import Opener, Unregistered
from watchword.dispatch.speaking import Call
from watchword.dispatch.store import Sealed
from watchword.gateways.contract import Message
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.gsm7 import Size, size
from watchword.runtime.clock import Clock
from watchword.runtime.failpoints import reach
from watchword.runtime.sealing import SealBroken

UNREADABLE = Nobody("message_unreadable", hopeless=True)
LEASE_OVER = Nobody("lease_over", hopeless=False)
# No account is asked about a text that none could deliver; the class is the one operators' own refusals have.
NOT_AS_REGISTERED = Called(Outcome(OutcomeClass.CONFIGURATION, raw_code="dlt_text_mismatch"), ends="dlt_text_mismatch")
_CANNOT_ENCODE = Called(Outcome(OutcomeClass.CONFIGURATION, raw_code="cannot_encode"))
_NOT_CALLED: Mapping[str, Nobody | Skipped] = {"too_late": TOO_LATE, "lease_over": LEASE_OVER}


class Held(msgspec.Struct, frozen=True):
    """A claimed attempt with what it is made of. `lease_ends_s` is on the monotonic clock; `leave` is None where
    its account cannot be called, for the reason in `nobody`; `seq` is the number of its verification's newest event
    when it was claimed, None where that was not asked."""

    attempt: Attempt
    sealed: Sealed
    lease_ends_s: float
    leave: Leave | None
    nobody: Nobody = ACCOUNTS_AWAY
    seq: int | None = None


class Exchange:
    """The calls that may be made for one held attempt. Each is refused at its last moment, the connection ready
    and nothing written yet, where our lease could end before the answer comes."""

    def __init__(self, held: Held, carrier: Carrier, clock: Clock, metrics: DispatchMetrics) -> None:
        self._attempt = held.attempt
        self._sealed = held.sealed
        self._lease_ends_s = held.lease_ends_s
        self._carrier = carrier
        self._clock = clock
        self._metrics = metrics

    async def ask(self) -> Outcome | None:
        """What the gateway knows of our reference: None if nothing, AMBIGUOUS where it does not say."""
        try:
            question = self._carrier.speaker.question(str(self._attempt.id))
        except ValueError:
            return Outcome(OutcomeClass.AMBIGUOUS, raw_code="cannot_encode")
        if question is None:
            return Outcome(OutcomeClass.AMBIGUOUS, raw_code="cannot_ask")
        answer = await self._carrier.call(question, Gate(self._lease_refusal))
        return Outcome(OutcomeClass.AMBIGUOUS, raw_code=answer.word) if isinstance(answer, Silence) else answer

    async def send(self, opener: Opener) -> Came:
        """Call the gateway with the message, which is opened here and lives no longer than this call."""
        try:
            message = opener.open(self._attempt, self._sealed, self._clock.now())
        except SealBroken:
            return uncalled(self._attempt, UNREADABLE)
        except Unregistered:
            return NOT_AS_REGISTERED
        try:
            call = self._carrier.speaker.message(message)
        except ValueError:
            return _CANNOT_ENCODE
        return _without_quotes(await self._post(call, size(message.text)), message)

    async def _post(self, call: Call[Outcome], text: Size) -> Came:
        left = self._attempt.send_deadline - self._clock.now()
        deadline_s = time.monotonic() + left.total_seconds()
        gate = Gate(self._send_refusal)
        reach("dispatch.before_call")
        started_s = time.monotonic()
        answer = await self._carrier.call(call, gate)
        reach("dispatch.called")
        if gate.passed_s is not None and gate.passed_s > deadline_s:
            self._metrics.late_sends.add()
        return self._came(answer, int((time.monotonic() - started_s) * 1000), text)

    def _came(self, answer: Outcome | Silence, latency_ms: int, text: Size) -> Came:
        if isinstance(answer, Outcome):
            return Called(answer, latency_ms, text)
        if answer.may_have_left:
            return Called(Outcome(OutcomeClass.AMBIGUOUS, raw_code=answer.word), latency_ms, text)
        if answer.word in _NOT_CALLED:
            return uncalled(self._attempt, _NOT_CALLED[answer.word])
        return Called(Outcome(OutcomeClass.TEMPORARY, raw_code=answer.word), latency_ms, text)

    def _send_refusal(self) -> str:
        return "too_late" if self._clock.now() >= self._attempt.send_deadline else self._lease_refusal()

    def _lease_refusal(self) -> str:
        return "lease_over" if time.monotonic() + self._carrier.timeout_s > self._lease_ends_s else ""


def _without_quotes(came: Came, message: Message) -> Came:
    """Nothing of the message leaves with what its gateway said of it."""
    if not isinstance(came, Called):
        return came
    said = came.outcome.raw_code
    word = unquoted(said, message)
    return came if word == said else replace(came, outcome=replace(came.outcome, raw_code=word))
