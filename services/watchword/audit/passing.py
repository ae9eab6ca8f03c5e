"""Offsets that were committed too early: records below them whose effect is missing from the tables. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from watchword.audit.facts import Position
from watchword.audit.reported import Reports
from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.resend_requested import ResendRequested
from watchword.events.send_requested import SendRequested
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.kernel.event import Event
from watchword.kernel.verification import LIVE, AttemptState
from watchword.replay.entry import Entry
from watchword.replay.live import Live
from watchword.replay.rows import VerificationRow

_LIVE = frozenset(state.value for state in LIVE)
_BLOCKING = frozenset({Action.BLOCK, Action.CHALLENGE})
_TELLER = "callbacks"


@dataclass(frozen=True, slots=True)
class Traces:
    """What receipts and callbacks leave in the tables, beside the rows of the snapshot. `parked` are the ids of
    receipts that wait for their attempt, `in_parts` attempts of which a part was reported, `counting` accounts of which
    one part's word counts for all. `untold` are ended verifications of which nothing is owed to some who were to hear
    of it, and to whom: an endpoint, or "" for a publisher's topic."""

    parked: frozenset[str] = frozenset()
    in_parts: frozenset[UUID] = frozenset()
    counting: frozenset[str] = frozenset()
    untold: Mapping[UUID, tuple[str, ...]] = field(default_factory=dict)


class Passing:
    """Collects, over a whole reading, the records that were passed over."""

    def __init__(self, live: Live, positions: Sequence[Position], traces: Traces) -> None:
        """Where two workers read one topic, the slower one says what has been taken."""
        self._live = live
        self._untold = traces.untold
        self._reports = Reports(live, parked=traces.parked, in_parts=traces.in_parts, counting=traces.counting)
        self._committed: dict[tuple[str, int], int] = {}
        self._told: dict[tuple[str, int], int] = {}
        for each in positions:
            place = (each.topic, each.partition)
            self._committed[place] = min(self._committed.get(place, each.committed), each.committed)
            if each.worker == _TELLER:
                self._told[place] = min(self._told.get(place, each.committed), each.committed)
        self._sends: dict[tuple[UUID, int], str] = {}
        self._sends_left: set[tuple[UUID, int]] = set()
        self._found: dict[str, str] = {}

    def saw_letter(self, event: Event | None) -> None:
        """The event of a dead letter, if it can be read, before the record it was made of."""
        if isinstance(event, ReceiptReceived):
            self._reports.buried(event)

    def saw(self, entry: Entry) -> None:
        """One entry of a topic that workers read."""
        committed = self._committed.get((entry.topic, entry.partition))
        if committed is None or entry.event is None:
            return
        if isinstance(entry.event, SendRequested):
            self._saw_send(entry, entry.event, taken=entry.offset < committed)
        elif isinstance(entry.event, VerificationEnded):
            self._saw_end(entry, entry.event)
        elif entry.offset < committed and (told := self._unfinished(entry, entry.event)):
            self._found[entry.place] = told

    def passed_over(self, buried: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """The places of records whose effect is missing, and what it is; those in `buried` have a dead letter."""
        sends = {
            place: "its attempt was never claimed"
            for send, place in self._sends.items()
            if send not in self._sends_left
        }
        return tuple(sorted((place, told) for place, told in (self._found | sends).items() if place not in buried))

    def _unfinished(self, entry: Entry, event: Event) -> str:
        if isinstance(event, ReceiptReceived):
            return self._reports.unheard(event, entry.key)
        return unfinished(event, self._live)

    def _saw_send(self, entry: Entry, event: SendRequested, *, taken: bool) -> None:
        """A send request may lie in several topics while it waits: it is passed over only if all were taken."""
        send = (event.attempt_id, event.recovery)
        waits = str(event.verification_id) in self._live.waiting
        if not taken or waits:
            self._sends_left.add(send)
        elif is_unclaimed(event, self._live):
            self._sends.setdefault(send, entry.place)

    def _saw_end(self, entry: Entry, event: VerificationEnded) -> None:
        """What has no row here was owed to nobody: whoever is told gets a row first."""
        missing = self._untold.get(event.verification_id)
        if missing and entry.topic == topics.LIFECYCLE and entry.offset < self._told.get(_place(entry), 0):
            whom = ", ".join(f"endpoint {each}" if each else "its publisher" for each in missing)
            self._found[entry.place] = f"its end was never told to {whom}"


def unfinished(event: Event, live: Live) -> str:
    """What a request or an assessment that was taken should have led to and did not; "" if all is well."""
    if isinstance(event, VerificationRequested | ResendRequested):
        row = _live_row(event.verification_id, live)
        return "its send was never assessed" if row and row.sends_assessed < event.send_no else ""
    if isinstance(event, VerificationAssessed) and event.action not in _BLOCKING:
        row = _live_row(event.verification_id, live)
        return "its send was never issued" if row and row.sends_issued < event.send_no else ""
    return ""


def is_unclaimed(event: SendRequested, live: Live) -> bool:
    """Whether the attempt still waits as this request left it, and its verification for it."""
    attempt = live.attempts.get(event.attempt_id)
    if attempt is None or _live_row(event.verification_id, live) is None:
        return False
    return attempt.state == AttemptState.QUEUED and attempt.recovery == event.recovery


def _live_row(identity: UUID, live: Live) -> VerificationRow | None:
    row = live.verifications.get(identity)
    return row if row is not None and row.state in _LIVE and row.expires_at > live.at else None


def _place(entry: Entry) -> tuple[str, int]:
    return (entry.topic, entry.partition)
