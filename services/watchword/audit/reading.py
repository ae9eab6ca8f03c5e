"""What is noticed while the topics go by, once, from their beginning to their end. Pure: entries in, facts out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b

import msgspec

from watchword.audit.facts import Position, Submitted, Untouched
from watchword.audit.passing import Passing, Traces
from watchword.audit.sightings import Canaries, sightings
from watchword.dead.letters import UNTOLD, Letter, place_text
from watchword.events import topics
from watchword.events.catalog import is_up_to_the_reader
from watchword.events.verification import VerificationEvent
from watchword.events.verification_refused import VerificationRefused
from watchword.replay.entry import Entry
from watchword.replay.fold import FOLDED_TOPICS, Fold
from watchword.replay.live import Live

SIGHTINGS_MAX = 10_000
WITHHELD = "wwd_withheld"
# Reasons as workers word them, and what dispatch and the judge say of events that they read and cannot take.
UNREADABLE = "unreadable"
UNKNOWN_VERIFICATION = "unknown_verification"
READ_AND_REFUSED = ("a count is out of bounds", "a time is out of bounds", " has no place on this topic")


@dataclass(frozen=True, slots=True)
class Noticed:
    """What one reading of the topics came to; the fields of Facts that topics alone can tell."""

    positions: tuple[Position, ...]
    submitted: tuple[Submitted, ...]
    answered: frozenset[str]
    passed_over: tuple[tuple[str, str], ...]
    sightings: tuple[tuple[str, str], ...]
    letters: tuple[Untouched, ...]


@dataclass
class Reading:
    """Takes letters first, then every other record."""

    live: Live
    fold: Fold
    canaries: Canaries
    positions: Sequence[Position]
    traces: Traces = field(default_factory=Traces)
    _passing: Passing = field(init=False)
    _submitted: list[Submitted] = field(default_factory=list)
    _answered: set[str] = field(default_factory=set)
    _sightings: list[tuple[str, str]] = field(default_factory=list)
    _letters: list[tuple[Letter, bytes]] = field(default_factory=list)
    _origins: dict[str, bytes | None] = field(default_factory=dict)

    _by_place: dict[tuple[str, int], list[Position]] = field(default_factory=dict)
    _committed: dict[tuple[str, int], int] = field(init=False)
    _first_waiting: dict[Position, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Positions by place. Where two workers read one topic, the slower one says what has been taken."""
        for each in self.positions:
            self._by_place.setdefault((each.topic, each.partition), []).append(each)
        self._committed = {place: min(each.committed for each in those) for place, those in self._by_place.items()}
        self._passing = Passing(self.live, self.positions, self.traces)

    def saw_letter(self, letter: Letter) -> None:
        """One dead letter, before the record it was made of."""
        self._look(letter.entry, letter.key)
        self._passing.saw_letter(letter.entry.event)
        digest = _digest(letter.key, letter.entry.value)
        self._letters.append(
            (replace(letter, entry=replace(letter.entry, value=b"" if letter.entry.value else None)), digest)
        )
        self._origins[_origin(letter)] = None

    def saw(self, entry: Entry, key: bytes | None) -> None:
        """One record of a topic that is no dead one."""
        self._look(entry, key)
        if entry.place in self._origins:
            self._origins[entry.place] = _digest(key, entry.value)
        if entry.topic in FOLDED_TOPICS and entry.envelope is not None and entry.event is not None:
            told = entry.envelope
            self.fold.add(entry.event, sequence=told.sequence, event_id=told.id, told_at=told.time)
        for position in self._by_place.get((entry.topic, entry.partition), ()):
            if entry.offset >= position.committed:
                self._first_waiting.setdefault(position, entry.appended_at)
        self._passing.saw(entry)
        self._answer(entry)

    def told(self, done: frozenset[str]) -> Noticed:
        """What was noticed; `done` are the places of letters that operators have dealt with."""
        return Noticed(
            positions=tuple(replace(each, waiting_since=self._first_waiting.get(each)) for each in self.positions),
            submitted=tuple(self._submitted),
            answered=frozenset({*self._answered, *self._origins}),
            passed_over=self._passing.passed_over(frozenset(self._origins)),
            sightings=tuple(sorted(set(self._sightings))),
            letters=tuple(self._letter(letter, digest, done) for letter, digest in self._letters),
        )

    def _look(self, entry: Entry, key: bytes | None) -> None:
        if len(self._sightings) >= SIGHTINGS_MAX:
            return
        subject = entry.envelope.subject if entry.envelope else entry.key
        for seen in sightings(entry.topic, key, entry.value, entry.headers, subject, self.canaries):
            self._sightings.append((entry.place, seen))

    def _answer(self, entry: Entry) -> None:
        """Requests that were taken from the inbox, and the events that say what became of them."""
        told = entry.envelope
        if entry.topic == topics.INBOX:
            if entry.offset < self._committed.get((entry.topic, entry.partition), 0):
                self._submitted.append(
                    Submitted(entry.place, told.id if told else _structured_id(entry), entry.appended_at)
                )
        elif told is not None and entry.topic == topics.REQUESTS and told.causation_id:
            self._answered.add(told.causation_id)
        elif told is not None and isinstance(entry.event, VerificationRefused):
            self._answered |= {told.subject} | ({entry.event.request_id} - {""})

    def _letter(self, letter: Letter, digest: bytes, done: frozenset[str]) -> Untouched:
        met = self._origins.get(_origin(letter))
        withheld = letter.entry.value is None or any(name == WITHHELD for name, _ in letter.entry.headers)
        place = place_text(letter.place)
        return Untouched(
            place=place,
            reason="" if letter.reason == UNTOLD else letter.reason,
            at=letter.entry.appended_at,
            intact=None if met is None or withheld else met == digest,
            handled=place in done,
            readable=letter.entry.event is not None,
            good=self._good(letter),
        )

    def _good(self, letter: Letter) -> str:
        """Why it was no poison when it was buried, "" if it may have been. What another reader can read was buried
        rightly, and so was what could be read and not be taken: both say so. Else nothing becomes readable."""
        event = letter.entry.event
        if event is None:
            return ""
        was_read = letter.detail.endswith(READ_AND_REFUSED)
        if letter.reason == UNREADABLE and not was_read and not is_up_to_the_reader(letter.detail):
            return "can be read, and could be then"
        known = isinstance(event, VerificationEvent) and event.verification_id in self.live.verifications
        return "is about a verification that is there" if letter.reason == UNKNOWN_VERIFICATION and known else ""


class _Structured(msgspec.Struct):
    id: str = ""


def _structured_id(entry: Entry) -> str:
    """The event id of a request in structured mode, "" where there is none."""
    try:
        return msgspec.json.decode(entry.value or b"", type=_Structured).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _origin(letter: Letter) -> str:
    return f"{letter.origin}/{letter.origin_partition}/{letter.origin_offset}"


def _digest(key: bytes | None, value: bytes | None) -> bytes:
    told = blake2b(key or b"", digest_size=16)
    told.update(b"\x00")
    told.update(value or b"")
    return told.digest()
