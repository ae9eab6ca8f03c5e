"""A conversation and the other end of it, for tests: what a carrier says, and what we wrote."""

from datetime import UTC, datetime
from typing import Any

from watchword.gateways.contract import Account, Message
from watchword.gateways.smpp.gateway import Smpp, judge
from watchword.gateways.smpp.pdu import RESPONSE, Command, Frames, Pdu, decode, encode
from watchword.gateways.smpp.session import SmppSession
from watchword.gateways.smpp.terms import read

ACCOUNT = Account(
    id="carrier",
    gateway="smpp",
    url="smpp://127.0.0.1",
    sender="SHOP",
    timeout_ms=5_000,
    options={"system_id": "shop", "window": "3"},
    secrets={"password": "word"},
)
MESSAGE = Message(
    client_ref="ref",
    to="+919876543210",
    text="493021 is your code.",
    sender="",
    life_s=90,
    at=datetime(2026, 1, 1, tzinfo=UTC),
)
SUBMISSION = Smpp().encode(MESSAGE, ACCOUNT)


class Talk:
    """One session with a clock of its own."""

    def __init__(self, role: str = "trx", account: Account = ACCOUNT) -> None:
        terms = read(account)
        self.session = SmppSession(terms, role, lambda status: judge(status, terms))
        self.now_s = 100.0
        self._frames = Frames()

    def wrote(self) -> list[Pdu]:
        """What we wrote since the last look."""
        return [decode(frame) for frame in self._frames.feed(self.session.outgoing())]

    def hears(self, *units: Pdu) -> list[Any]:
        """The events that come of what the carrier says."""
        return self.session.receive(b"".join(encode(unit) for unit in units), self.now_s)

    def waits(self, seconds: float) -> list[Any]:
        """The events that come of waiting."""
        self.now_s += seconds
        return self.session.elapse(self.now_s)

    def submit(self, ticket: int) -> int:
        """Submit one message; answers its sequence number."""
        self.session.submit(ticket, SUBMISSION, self.now_s)
        return self.wrote()[-1].sequence


def answer(command: int, sequence: int, status: int = 0, **fields: bytes) -> Pdu:
    """A response to one of our units."""
    return Pdu(command | RESPONSE, status, sequence, fields)


def bound(role: str = "trx", account: Account = ACCOUNT) -> Talk:
    """A conversation in which the carrier has let us in."""
    talk = Talk(role, account)
    talk.session.open(talk.now_s)
    [bind] = talk.wrote()
    talk.hears(answer(bind.command, bind.sequence, system_id=b"smsc"))
    return talk


def report(sequence: int, text: bytes = b"id:m-1 stat:DELIVRD") -> Pdu:
    """A delivery report."""
    return Pdu(Command.DELIVER_SM, sequence=sequence, fields={"esm_class": 4, "short_message": text})
