"""One carrier: takes a message, remembers it, and says what is to happen. No clock and no socket of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from watchword.simulator import behaviour as behaving
from watchword.simulator import decide
from watchword.simulator.behaviour import Behaviour
from watchword.simulator.decide import Answer, Draw, Way
from watchword.simulator.wire import NETWORK, Accepted, Message, Report, code_of, number
from watchword.simulator.world import Call, Ledger, Phones, Sent, Sms


class Door(StrEnum):
    """The language a call came in."""

    ECHO = "echo"
    BLIND = "blind"
    SMPP = "smpp"


@dataclass(frozen=True, slots=True)
class Taken:
    """The end of one call: how it is answered, the receipt for it if it was accepted, and the reports to come, each
    so many milliseconds from now."""

    answer: Answer
    accepted: Accepted | None = None
    reports: tuple[tuple[float, Report], ...] = ()
    early: bool = False


MALFORMED = Taken(Answer(Way.REFUSE, error="malformed"))
UNAUTHORIZED = Taken(Answer(Way.REFUSE, error="unauthorized"))
BAD_NUMBER = Taken(Answer(Way.REFUSE, error="destination"))


class Carrier:
    """A named carrier with a behaviour that can change at any time."""

    def __init__(self, name: str, birth: Behaviour, draw: Draw, phones: Phones) -> None:
        self.name = name
        self.draw = draw
        self.behaviour = birth
        self.ledger = Ledger()
        self._birth = birth
        self._phones = phones
        self._since_s = 0.0

    def behave(self, told: dict[str, Any], at_s: float, *, anew: bool) -> None:
        """Change the fields in `told`, of the birth behaviour if `anew`, else of the present one. Outages count from
        `at_s` (monotonic) if they are told or anew. Raises ValueError, changing nothing, for anything out of place."""
        self.behaviour = behaving.changed(self._birth if anew else self.behaviour, told)
        if anew or "outages" in told:
            self._since_s = at_s

    def is_away(self, at_s: float) -> bool:
        """Whether the carrier is in an outage at `at_s`."""
        return behaving.is_away(self.behaviour, at_s - self._since_s)

    def receipt_url(self, door: Door) -> str:
        """Where receipts for messages that came through `door` are posted, "" for nowhere."""
        return {Door.ECHO: self.behaviour.receipt_url, Door.BLIND: self.behaviour.blind_receipt_url}.get(door, "")

    def take(self, message: Message | None, token: str, door: Door, now: datetime, at_s: float) -> Taken:
        """What one call comes to. `token` is what the caller said it is called by, `at_s` the monotonic time."""
        taken = self._judge(message, token, door, now, at_s)
        self.ledger.note(
            Call(
                time=now,
                door=door,
                client_ref=message.client_ref if message else "",
                result=taken.answer.error or ("accepted" if taken.answer.way is Way.ACCEPT else taken.answer.way.value),
                duplicate=taken.accepted is not None and taken.accepted.duplicate,
                id=taken.accepted.id if taken.accepted else "",
            )
        )
        return taken

    def _judge(self, message: Message | None, token: str, door: Door, now: datetime, at_s: float) -> Taken:
        if not self.knows(token):
            return UNAUTHORIZED
        if message is None:
            return MALFORMED
        phone = number(message.to)
        if not phone:
            return BAD_NUMBER
        answer = decide.answer(self.behaviour, at_s - self._since_s, self.draw)
        if answer.way not in (Way.ACCEPT, Way.HANG_AFTER):
            return Taken(answer)
        known = self.ledger.sent.get(message.client_ref)
        if known is not None and door is Door.ECHO and self.behaviour.dedupes:
            known.calls += 1
            return Taken(answer, self._accepted(known.id, message, duplicate=True))
        return self._send(answer, message, phone, known, now)

    def knows(self, token: str) -> bool:
        """Whether `token` may call: the carrier's own, or any at all where it has none."""
        return bool(token) and self.behaviour.token in ("", token)

    def _send(self, answer: Answer, message: Message, phone: str, known: Sent | None, now: datetime) -> Taken:
        message_id = f"{self.name}-{self.draw.getrandbits(64):016x}"
        fate = decide.fate(self.behaviour, self.draw)
        if known is None:
            known = Sent(client_ref=message.client_ref, id=message_id, time=now)
            self.ledger.add(known)
        else:
            known.calls += 1
            known.sms += 1
        if fate.arrives:
            known.delivered += 1
            self._phones.deliver(phone, Sms(now, message.text, message.sender, self.name, message.client_ref))
        reports = tuple(
            (
                due.delay_ms,
                Report(
                    id=message_id,
                    client_ref=message.client_ref,
                    state=due.state,
                    code=code_of(due.state),
                    network=NETWORK,
                    at=now + timedelta(milliseconds=due.delay_ms),
                ),
            )
            for due in fate.receipts
        )
        return Taken(answer, self._accepted(message_id, message, duplicate=False), reports, fate.early)

    def _accepted(self, message_id: str, message: Message, *, duplicate: bool) -> Accepted:
        parts = decide.segments(message.text)
        return Accepted(
            id=message_id,
            client_ref=message.client_ref,
            segments=parts,
            price_micros=parts * self.behaviour.price_micros,
            currency=self.behaviour.currency,
            duplicate=duplicate,
        )

    def found(self, client_ref: str) -> Accepted | None:
        """What the echo lookup answers, None where the reference was never seen or has been forgotten."""
        known = self.ledger.sent.get(client_ref)
        if known is None:
            return None
        price_micros, currency = self.behaviour.price_micros, self.behaviour.currency
        state = "delivered" if known.delivered else "enroute"
        return Accepted(known.id, client_ref, 1, price_micros, currency, duplicate=True, state=state)
