"""The contract of a gateway that keeps a connection: what it is, and the conversation it holds, without a socket.

A gateway that is called over HTTP is four functions (`contract.Gateway`). A carrier that speaks over a connection it
keeps open needs a state between two messages; that state is a `Session`: bytes that came go in, bytes to be written
and events come out. Dispatch owns the sockets, the clock and the waiting; its claims, leases and outcomes are the same
for both kinds.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from watchword.gateways.contract import Account, Callback, Gateway, Message, Receipt, Resend
from watchword.gateways.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and once for each of `roles`, words of the gateway's own; those that `only_receive` never carry
    a message. `tls_ca` is a file of roots to trust in place of the system's, `tls_server_name` whose certificate is
    asked for; "" for neither."""

    host: str
    port: int
    roles: tuple[str, ...]
    only_receive: frozenset[str] = frozenset()
    tls: bool = False
    tls_ca: str = ""
    tls_server_name: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """One message as it will be written: `units` in the gateway's own form, one for each part. Not printable."""

    units: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """The carrier has let us in."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a submission came to; `ticket` is what it was submitted under."""

    ticket: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A submission was written, and nobody will tell what it came to; `word` says why."""

    ticket: int
    word: str


@dataclass(frozen=True, slots=True)
class Reported:
    """The carrier reported something: `report` is the whole of it, as it came but for what names the delivery and
    not the report, so that a repeat is the same bytes. It waits for `Session.settle` under
    the same `number`, and reports again where it is told that the report was not kept."""

    number: int
    report: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over; what is left of `outgoing` is written and the connection closed. `refusal` is the
    outcome of being refused for who we are, None where that is not why."""

    word: str
    refusal: Outcome | None = None


SessionEvent = Ready | Answered | Unanswered | Reported | Ended


class Session(Protocol):
    """One conversation on one connection. Times are seconds of any clock that only goes forward. Total: whatever
    bytes come, it answers events and never raises."""

    @property
    def takes(self) -> bool:
        """Whether messages are taken: the carrier has let us in, in a role that carries them, and nobody is leaving.
        While it is so, room that is gone comes back."""

    @property
    def room(self) -> int:
        """How many units may be submitted now, 0 while the carrier has not let us in or we are leaving."""

    def open(self, now_s: float) -> None:
        """The connection is there: introduce ourselves."""

    def submit(self, ticket: int, submission: Submission, now_s: float) -> None:
        """Write a submission that fits into `room`; an event under `ticket` follows, exactly one."""

    def receive(self, data: bytes, now_s: float) -> list[SessionEvent]:
        """Bytes came."""

    def elapse(self, now_s: float) -> list[SessionEvent]:
        """Time passed: what is due is done. To be called several times a second."""

    def settle(self, number: int, *, kept: bool) -> None:
        """A report is safe, or is not and must be made again."""

    def leave(self, now_s: float) -> None:
        """Submit nothing more, wait for the answers that are owed within bounds, say goodbye; `Ended` follows."""

    def lose(self, word: str) -> list[SessionEvent]:
        """The connection is gone: how everything that was open ends."""

    def outgoing(self) -> bytes:
        """The bytes to be written now; each is handed out once."""


@runtime_checkable
class SessionGateway(Protocol):
    """What a module in `gateways/<name>/` provides whose carrier keeps a connection."""

    name: str
    resend: Resend

    def endpoint(self, account: Account) -> Endpoint:
        """Where and how often to connect. Raises ValueError, naming the field or option, for an unusable account."""

    def encode(self, message: Message, account: Account) -> Submission:
        """What sends `message` through `account`. Raises ValueError as `endpoint` does, and for a message that the
        account cannot carry."""

    def session(self, account: Account, role: str) -> Session:
        """A conversation in one of the endpoint's roles. Raises ValueError as `endpoint` does."""

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The delivery reports in what a session `Reported`, as the body of `callback`; [] where it reports on no
        message of ours. Raises ValueError on garbage."""


AnyGateway = Gateway | SessionGateway
