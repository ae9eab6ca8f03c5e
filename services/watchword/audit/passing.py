"""Offsets that were committed too early: records below them whose effect is missing from the tables. Pure."""

from collections.abc import Mapping
from uuid import UUID

from watchword.events.resend_requested import ResendRequested
from watchword.events.send_requested import SendRequested
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_requested import VerificationRequested
from watchword.kernel.event import Event
from watchword.kernel.verification import LIVE, AttemptState
from watchword.replay.entry import Entry
from watchword.replay.live import Live
from watchword.replay.rows import VerificationRow

_LIVE = frozenset(state.value for state in LIVE)
_BLOCKING = frozenset({Action.BLOCK, Action.CHALLENGE})


class Passing:
    """Collects, over a whole reading, the records that were passed over."""

    def __init__(self, live: Live, committed: Mapping[tuple[str, int], int]) -> None:
        self._live = live
        self._committed = committed
        self._sends: dict[tuple[UUID, int], str] = {}
        self._sends_left: set[tuple[UUID, int]] = set()
        self._found: dict[str, str] = {}

    def saw(self, entry: Entry) -> None:
        """One entry of a topic that workers read."""
        committed = self._committed.get((entry.topic, entry.partition))
        if committed is None or entry.event is None:
            return
        if isinstance(entry.event, SendRequested):
            self._saw_send(entry, entry.event, taken=entry.offset < committed)
        elif entry.offset < committed and (told := unfinished(entry.event, self._live)):
            self._found[entry.place] = told

    def passed_over(self, buried: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """The places of records whose effect is missing, and what it is; those in `buried` have a dead letter."""
        sends = {
            place: "its attempt was never claimed"
            for send, place in self._sends.items()
            if send not in self._sends_left
        }
        return tuple(sorted((place, told) for place, told in (self._found | sends).items() if place not in buried))

    def _saw_send(self, entry: Entry, event: SendRequested, *, taken: bool) -> None:
        """A send request may lie in several topics while it waits: it is passed over only if all were taken."""
        send = (event.attempt_id, event.recovery)
        waits = str(event.verification_id) in self._live.waiting
        if not taken or waits:
            self._sends_left.add(send)
        elif is_unclaimed(event, self._live):
            self._sends.setdefault(send, entry.place)


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
