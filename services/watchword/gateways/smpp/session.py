"""One SMPP conversation as values: bytes and moments in, bytes and events out. No socket, no clock.

new ─open▶ binding ─bind_resp▶ bound ─leave, unbind▶ leaving ─window drained▶ unbinding ─unbind_resp▶ ended
              └── refused, no answer ──┴── link dead, bad framing, connection lost ──┴────────────────▶ ended
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.sessions import Ended, Ready, Reported, SessionEvent, Submission, Unanswered
from watchword.gateways.smpp import ids
from watchword.gateways.smpp.pdu import OK, RESPONSE, SEQUENCE_MAX, Command, Field, Frames, Pdu, decode, encode
from watchword.gateways.smpp.terms import Terms
from watchword.gateways.smpp.window import Window

INTERFACE_VERSION: Final = 0x34
BIND_WITHIN_S: Final = 5.0
LINK_WITHIN_S: Final = 5.0
DRAIN_S: Final = 2.0
REPORTS_MAX: Final = 1_000
TEMPORARY_ERROR: Final = 0x64
_INVALID_COMMAND = 0x03
_FRAMING_FAULTS = frozenset({0x02, 0x03, 0x04})  # what follows on the same bind would fare no better
_BINDS: Mapping[str, Command] = {
    "trx": Command.BIND_TRANSCEIVER,
    "tx": Command.BIND_TRANSMITTER,
    "rx": Command.BIND_RECEIVER,
}


class State(StrEnum):
    """Where a conversation stands."""

    NEW = "new"
    BINDING = "binding"
    BOUND = "bound"
    LEAVING = "leaving"
    UNBINDING = "unbinding"
    ENDED = "ended"


class SmppSession:
    """A `gateways.sessions.Session` in SMPP. `judge` says what a command status means for a message."""

    def __init__(self, terms: Terms, role: str, judge: Callable[[int], OutcomeClass]) -> None:
        self.state = State.NEW
        self._terms = terms
        self._bind = _BINDS[role]
        self._judge = judge
        self._frames = Frames()
        self._window = Window(terms.window)
        self._writing = bytearray()
        self._sequence = 0
        self._reports: dict[int, tuple[int, int]] = {}
        self._reported = 0
        self._heard_s = 0.0
        self._until_s = 0.0  # of the state, where it has an end
        self._link_until_s: float | None = None
        self._carrier_left = False
        self._answers: Mapping[int, Callable[[Pdu, bytes, float], list[SessionEvent]]] = {
            self._bind | RESPONSE: self._bound,
            Command.SUBMIT_SM | RESPONSE: self._submitted,
            Command.GENERIC_NACK: self._nacked,
            Command.ENQUIRE_LINK: self._asked,
            Command.ENQUIRE_LINK | RESPONSE: self._alive,
            Command.DELIVER_SM: self._delivered,
            Command.DATA_SM: self._delivered,
            Command.UNBIND: self._told_to_leave,
            Command.UNBIND | RESPONSE: self._left,
            Command.OUTBIND: self._ignored,
            Command.ALERT_NOTIFICATION: self._ignored,
        }

    @property
    def takes(self) -> bool:
        """Whether messages are taken; not on a connection that only receives, or that somebody is leaving."""
        return self.state is State.BOUND and self._bind is not Command.BIND_RECEIVER

    @property
    def room(self) -> int:
        """How many units may be submitted now."""
        return self._window.room if self.takes else 0

    def open(self, now_s: float) -> None:
        """Bind."""
        self.state = State.BINDING
        self._heard_s = now_s
        self._until_s = now_s + BIND_WITHIN_S
        self._write(
            self._bind,
            self._next(),
            {
                "system_id": self._terms.system_id,
                "password": self._terms.password,
                "system_type": self._terms.system_type,
                "interface_version": INTERFACE_VERSION,
                "address_range": self._terms.address_range,
            },
        )

    def submit(self, ticket: int, submission: Submission, now_s: float) -> None:
        """Write the units of a submission, each under a sequence number of its own."""
        sequences = [self._next() for _ in submission.units]
        self._window.add(ticket, sequences, now_s + self._terms.response_s)
        for sequence, unit in zip(sequences, submission.units, strict=True):
            self._writing += unit[:12] + sequence.to_bytes(4, "big") + unit[16:]

    def receive(self, data: bytes, now_s: float) -> list[SessionEvent]:
        """Read what came; bytes after the end mean nothing."""
        events: list[SessionEvent] = []
        self._heard_s = now_s
        for frame in self._frames.feed(data):
            if self.state is State.ENDED:
                return events
            events += self._understand(decode(frame), frame, now_s)
        if self._frames.broken and self.state is not State.ENDED:
            events += self._end(self._frames.broken)
        return events

    def elapse(self, now_s: float) -> list[SessionEvent]:
        """Give up on what is overdue, ask whether the line is alive, end what has waited long enough."""
        if self.state in (State.NEW, State.ENDED):
            return []
        events: list[SessionEvent] = [*self._window.overdue(now_s)]
        if self._link_until_s is not None and now_s >= self._link_until_s:
            return events + self._end("link_dead")
        match self.state:
            case State.BINDING if now_s >= self._until_s:
                return events + self._end("bind_unanswered")
            case State.LEAVING:
                return events + self._drain(now_s)
            case State.UNBINDING if now_s >= self._until_s:
                return events + self._end("unbound")
            case State.BOUND if self._link_until_s is None and now_s - self._heard_s >= self._terms.enquire_s:
                self._link_until_s = now_s + LINK_WITHIN_S
                self._write(Command.ENQUIRE_LINK, self._next())
        return events

    def settle(self, number: int, *, kept: bool) -> None:
        """Answer a report: taken, or to be sent again."""
        found = self._reports.pop(number, None)
        if found is not None and self.state is not State.ENDED:
            command, sequence = found
            self._write(command | RESPONSE, sequence, status=OK if kept else TEMPORARY_ERROR)

    def leave(self, now_s: float) -> None:
        """Submit nothing more; unbind once what is open is answered."""
        if self.state in (State.BINDING, State.BOUND):
            self.state = State.LEAVING
            self._until_s = now_s + DRAIN_S

    def lose(self, word: str) -> list[SessionEvent]:
        """The connection is gone."""
        return [] if self.state is State.ENDED else self._end(word)

    def outgoing(self) -> bytes:
        """What must be written now."""
        written = bytes(self._writing)
        self._writing.clear()
        return written

    def _understand(self, pdu: Pdu, frame: bytes, now_s: float) -> list[SessionEvent]:
        answer = self._answers.get(pdu.command)
        if answer is not None:
            return answer(pdu, frame, now_s)
        if not pdu.command & RESPONSE:
            self._write(Command.GENERIC_NACK, pdu.sequence, status=_INVALID_COMMAND)
        return []

    def _bound(self, pdu: Pdu, _: bytes, __: float) -> list[SessionEvent]:
        if self.state is not State.BINDING:
            return []
        if pdu.status == OK:
            self.state = State.BOUND
            return [Ready()]
        return self._refused(pdu.status)

    def _refused(self, status: int) -> list[SessionEvent]:
        kind = self._judge(status)
        refusal = Outcome(kind, raw_code=code_of(status)) if kind is OutcomeClass.ACCOUNT else None
        return self._end(f"bind_refused_{code_of(status)}", refusal)

    def _submitted(self, pdu: Pdu, _: bytes, __: float) -> list[SessionEvent]:
        events: list[SessionEvent] = [*self._window.answer(pdu.sequence, lambda: self._outcome(pdu))]
        return events + (self._end("framing_refused") if pdu.status in _FRAMING_FAULTS else [])

    def _outcome(self, pdu: Pdu) -> Outcome:
        kind = OutcomeClass.ACCEPTED if pdu.status == OK else self._judge(pdu.status)
        return Outcome(
            kind,
            raw_code=code_of(pdu.status),
            provider_id=ids.of_response(pdu.text("message_id"), self._terms.id_format) if pdu.status == OK else "",
            retry_after_ms=self._terms.throttle_ms if kind is OutcomeClass.THROTTLED else 0,
        )

    def _nacked(self, pdu: Pdu, _: bytes, __: float) -> list[SessionEvent]:
        """Something of ours could not be read; without its sequence number only time tells which."""
        if self.state is State.BINDING:
            return self._refused(pdu.status)
        nack = Outcome(OutcomeClass.TEMPORARY, raw_code=f"nack_{code_of(pdu.status)}")
        return [*self._window.answer(pdu.sequence, lambda: nack)]

    def _asked(self, pdu: Pdu, _: bytes, __: float) -> list[SessionEvent]:
        self._write(Command.ENQUIRE_LINK | RESPONSE, pdu.sequence)
        return []

    def _alive(self, _: Pdu, __: bytes, ___: float) -> list[SessionEvent]:
        self._link_until_s = None
        return []

    def _delivered(self, pdu: Pdu, frame: bytes, _: float) -> list[SessionEvent]:
        if len(self._reports) >= REPORTS_MAX:
            self._write(pdu.command | RESPONSE, pdu.sequence, status=TEMPORARY_ERROR)
            return []
        self._reported += 1
        self._reports[self._reported] = (pdu.command, pdu.sequence)
        return [Reported(self._reported, frame[:12] + b"\0\0\0\0" + frame[16:])]

    def _told_to_leave(self, pdu: Pdu, _: bytes, now_s: float) -> list[SessionEvent]:
        self._write(Command.UNBIND | RESPONSE, pdu.sequence)
        self._carrier_left = True
        if self.state in (State.BINDING, State.BOUND):
            self.state = State.LEAVING
            self._until_s = now_s + DRAIN_S
        return self._drain(now_s) if self.state is State.LEAVING else self._end("unbound")

    def _left(self, _: Pdu, __: bytes, ___: float) -> list[SessionEvent]:
        return self._end("unbound") if self.state is State.UNBINDING else []

    def _ignored(self, _: Pdu, __: bytes, ___: float) -> list[SessionEvent]:
        return []

    def _drain(self, now_s: float) -> list[SessionEvent]:
        """Leaving waits for the answers that are owed, ours and theirs, and no longer than it may."""
        if now_s < self._until_s and not (self._window.empty and not self._reports):
            return []
        if self._carrier_left:
            return self._end("unbound_by_carrier")
        self.state = State.UNBINDING
        self._until_s = now_s + DRAIN_S
        self._write(Command.UNBIND, self._next())
        return []

    def _end(self, word: str, refusal: Outcome | None = None) -> list[SessionEvent]:
        self.state = State.ENDED
        self._reports.clear()
        open_: list[Unanswered] = self._window.give_up(word)
        return [*open_, Ended(word, refusal)]

    def _next(self) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def _write(
        self, command: int, sequence: int, fields: Mapping[str, Field] | None = None, *, status: int = OK
    ) -> None:
        self._writing += encode(Pdu(command, status, sequence, fields or {}))


def code_of(status: int) -> str:
    """A command status as reports show it."""
    return f"{status:#04x}"
