"""The life of one verification, put together from every topic that tells of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from watchword.events import topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.event import Event
from watchword.kernel.ids import attempt_id
from watchword.replay.compare import born
from watchword.replay.entry import Entry, entry_of
from watchword.replay.fold import FOLDED_TOPICS
from watchword.replay.reading import Log, Slice
from watchword.runtime.kafka import Cluster

BEFORE = timedelta(seconds=60)
"""How much earlier a request may have been appended than its verification was begun: clocks differ."""
AFTER = timedelta(hours=96)
"""How long a verification is told of: carriers report up to three days later, and callbacks are tried as long."""
SENDS_MAX, TRIES_MAX = 10, 4


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a timeline. `sequence` is 0 for one that is not counted, `repeats` how often it was read again,
    `waited` how long it was under way from being told to being on its topic."""

    sequence: int
    at: datetime
    name: str
    topic: str
    event_id: str
    event: Event
    entry: Entry
    repeats: int = 0

    @property
    def waited(self) -> timedelta:
        """From being told to being appended; never negative, though clocks may differ."""
        return max(self.entry.appended_at - self.at, timedelta(0))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every moment in order, counted ones by their number; `gaps` are the numbers between them that nobody told."""

    moments: tuple[Moment, ...]
    gaps: tuple[int, ...]
    unreadable: tuple[Entry, ...] = ()


def timeline(entries: Iterable[Entry]) -> Timeline:
    """The timeline of the entries of one verification. Pure; their order and repeats make no difference, but that
    of an event that was appended twice the first record is shown."""
    known: dict[tuple[str, str], Entry] = {}
    repeats: dict[tuple[str, str], int] = {}
    unreadable: list[Entry] = []
    for entry in sorted(entries, key=lambda each: (each.appended_at, each.place)):
        if entry.event is None or entry.envelope is None:
            unreadable.append(entry)
            continue
        # A dead letter carries the id of the event it was: it is another moment of the timeline.
        identity = (entry.envelope.id, "dead" if entry.topic.endswith(".dead") else "")
        repeats[identity] = repeats.get(identity, -1) + 1
        known.setdefault(identity, entry)
    moments = [_moment(entry, repeats[identity]) for identity, entry in known.items()]
    numbers = {moment.sequence for moment in moments}
    gaps = tuple(number for number in range(1, max(numbers, default=0)) if number not in numbers)
    return Timeline(_ordered(moments), gaps, tuple(unreadable))


def _moment(entry: Entry, repeats: int) -> Moment:
    assert entry.envelope is not None and entry.event is not None
    told = entry.envelope
    return Moment(told.sequence, told.time, entry.name, entry.topic, told.id, entry.event, entry, repeats)


def _ordered(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Counted ones by number, each uncounted one after the counted ones that were told before it."""
    counted = sorted((each for each in moments if each.sequence), key=lambda each: (each.sequence, each.event_id))
    ordered = list(counted)
    for each in sorted((each for each in moments if not each.sequence), key=lambda each: (each.at, each.event_id)):
        place = max((index + 1 for index, other in enumerate(ordered) if other.at <= each.at), default=0)
        ordered.insert(place, each)
    return tuple(ordered)


def belongs(entry: Entry, verification: str, causes: frozenset[str]) -> bool:
    """Whether an entry tells of the verification, or is the request, by its event id, that led to it."""
    told = entry.envelope
    if told is None:
        return entry.key == verification
    return told.subject == verification or (entry.topic == topics.INBOX and told.id in causes)


def receipts_of(verification: UUID, moments: Iterable[Entry]) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """What carriers may call the verification's attempts: our references, and (account, provider's id)."""
    references = {
        str(attempt_id(verification, send_no, try_no))
        for send_no in range(1, SENDS_MAX + 1)
        for try_no in range(1, TRIES_MAX + 1)
    }
    named = {
        (each.event.account, each.event.provider_id)
        for each in moments
        if isinstance(each.event, AttemptMade) and each.event.provider_id
    }
    return frozenset(references), frozenset(named)


async def read_timeline(cluster: Cluster, verification: str | UUID) -> Timeline:
    """The timeline of one verification from every topic that may tell of it. Raises KafkaError, Silent, and
    ValueError for what is no id."""
    async with Log(cluster) as log:
        return timeline(await entries_of(log, UUID(str(verification))))


async def slices_of(log: Log, verification: UUID) -> list[Slice]:
    """What has to be read for one verification."""
    names = [topic for topic in topics.ALL if topic not in (topics.SIGNALS, topics.RISK_LEVELS)]
    began = born(verification)
    return await log.slices(
        [*names, *map(topics.dead, names)],
        since=began - BEFORE,
        until=began + AFTER,
        keys={topic: str(verification) for topic in FOLDED_TOPICS},
    )


async def entries_of(log: Log, verification: UUID) -> list[Entry]:
    """Every entry about one verification, the raw receipts of its attempts among them."""
    slices = await slices_of(log, verification)
    last = {topics.INBOX, topics.RECEIPTS, topics.dead(topics.RECEIPTS)}
    name, none = str(verification), frozenset[str]()
    found: list[Entry] = []
    async for records in log.read([each for each in slices if each.topic not in last]):
        found += [entry for entry in _entries(log, records, name) if belongs(entry, name, none)]
    causes = frozenset(each.envelope.causation_id for each in found if each.envelope and each.topic == topics.REQUESTS)
    references, named = receipts_of(verification, found)
    async for records in log.read([each for each in slices if each.topic in last]):
        for record in records:
            entry = entry_of(record, log.plain(record))
            if belongs(entry, name, causes) or _reports(entry.event, references, named):
                found.append(entry)
    return found


def _entries(log: Log, records: Iterable[Any], name: str) -> Iterable[Entry]:
    """The records that may be about `name`, told by bytes before anything is decoded."""
    wanted = name.encode()
    for record in records:
        if record.key == wanted or wanted in (record.value or b"") or dict(record.headers).get("ce_subject") == wanted:
            yield entry_of(record, log.plain(record))


def _reports(event: Event | None, references: frozenset[str], named: frozenset[tuple[str, str]]) -> bool:
    if not isinstance(event, ReceiptReceived):
        return False
    return event.client_ref in references or (event.account, event.provider_id) in named


GIST = (
    "send_no", "try_no", "result", "action", "silent", "mode", "score", "state", "reason", "account", "outcome",
    "code_version", "check_no", "checks_left", "possible_duplicate", "price_micros", "code", "status",
)  # fmt: skip
"""The fields that say most of an event in one line, where it has them."""


def gist(event: Event) -> str:
    """An event in one line: its telling fields, those that say nothing left out."""
    told = ((name, getattr(event, name, None)) for name in GIST)
    return " ".join(f"{name}={value}" for name, value in told if value not in (None, "", 0, False))
