"""What lies in the dead topics, read as everything else is read: nothing here writes."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from watchword.events import topics
from watchword.replay.entry import Entry, document, entry_of, masked, masked_text
from watchword.replay.reading import Log, Slice
from watchword.replay.where import Predicate

DEAD_TOPICS = tuple(topics.dead(topic) for topic in topics.ALL)
UNTOLD = "(no reason told)"
WHY = "wwd_"

Place = tuple[str, int, int]
"""Where a letter lies: dead topic (plain name), partition, offset."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: `entry` is the record as it lies, with the event it holds where that can be read; `origin` is
    the topic it was buried from and `origin_offset` where it lay there, -1 where nobody said."""

    entry: Entry
    reason: str
    detail: str
    origin: str
    origin_partition: int
    origin_offset: int
    key: bytes | None = field(default=None, repr=False)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return (self.entry.topic, self.entry.partition, self.entry.offset)

    @property
    def obstacle(self) -> str:
        """Why it cannot be sent again, "" if it can."""
        if self.entry.value is None:
            return "its value was withheld"
        if self.origin not in topics.ALL or topics.dead(self.origin) != self.entry.topic:
            return "it does not say which topic it came from"
        return ""

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The headers it had when it was alive."""
        return [(name, value) for name, value in self.entry.headers if not name.startswith(WHY)]


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one dead topic that were buried for one reason."""

    topic: str
    reason: str
    count: int
    oldest: datetime
    newest: datetime
    example: str


def letter_of(record: Any, topic: str) -> Letter:
    """A record of a dead topic. Total."""
    entry = entry_of(record, topic)
    why = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if name.startswith(WHY)}
    return Letter(
        entry=entry,
        reason=why.get("wwd_reason") or UNTOLD,
        detail=why.get("wwd_detail", ""),
        origin=why.get("wwd_topic", ""),
        origin_partition=_number(why.get("wwd_partition", "")),
        origin_offset=_number(why.get("wwd_offset", "")),
        key=record.key,
    )


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """The letters by topic and reason."""
    found: dict[tuple[str, str], list[Letter]] = {}
    for letter in letters:
        found.setdefault((letter.entry.topic, letter.reason), []).append(letter)
    return [
        Group(
            topic,
            reason,
            len(those),
            min(each.entry.appended_at for each in those),
            max(each.entry.appended_at for each in those),
            place_text(those[0].place),
        )
        for (topic, reason), those in sorted(found.items())
    ]


def chosen(letter: Letter, *, reason: str = "", predicate: Predicate | None = None) -> bool:
    """Whether a letter is one of those that were buried for `reason` and for which `predicate` holds."""
    if reason and letter.reason != reason:
        return False
    return predicate is None or predicate(
        {**document(letter.entry), "buried_for": letter.reason, "from": letter.origin}
    )


async def read_letters(
    log: Log, slices: Sequence[Slice], done: frozenset[Place], *, told: Callable[[int], None] = lambda count: None
) -> AsyncIterator[Letter]:
    """The letters that nobody has dealt with. Raises KafkaError, Silent."""
    async for records in log.read(slices, told=told):
        for record in records:
            letter = letter_of(record, log.plain(record))
            if letter.place not in done:
                yield letter


def place_of(text: str) -> Place:
    """The place that `topic/partition/offset` names. Raises ValueError."""
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if topic not in DEAD_TOPICS or not (partition.isdecimal() and offset.isdecimal()):
        raise ValueError(f"{text!r} is no place of a dead letter: write it as {DEAD_TOPICS[0]}/0/17")
    return (topic, int(partition), int(offset))


def place_text(place: Place) -> str:
    """`topic/partition/offset`."""
    return "/".join(map(str, place))


def shown(letter: Letter) -> dict[str, Any]:
    """A letter with every number and code masked. Bytes that are no JSON are counted and not shown."""
    value = letter.entry.value
    try:
        told = None if value is None else masked(orjson.loads(value))
    except orjson.JSONDecodeError:
        told = f"<{len(value or b'')} bytes that are no JSON>"
    return {
        "place": place_text(letter.place),
        "reason": letter.reason,
        "detail": masked_text(letter.detail),
        "from": f"{letter.origin}/{letter.origin_partition}/{letter.origin_offset}",
        "buried_at": letter.entry.appended_at,
        "key": masked_text(letter.entry.key),
        "headers": {name: masked_text(text.decode("utf-8", "replace")) for name, text in letter.headers},
        "value": told,
        "readable_now": letter.entry.event is not None,
    }


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
