"""Folding a cluster's topics, or a part of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watchword.contracts.topics import topics as topic_specs
from watchword.events import topics
from watchword.replay.compare import ALWAYS, Comparison, compare
from watchword.replay.entry import Entry, entry_of, shown_time
from watchword.replay.fold import FOLDED_TOPICS, Fold
from watchword.replay.live import read_live, snapshot
from watchword.replay.progress import Progress
from watchword.replay.reading import Log, Slice
from watchword.replay.sinks import Sink, store
from watchword.runtime.kafka import Cluster


class TooLongAgo(Exception):
    """Nothing is left of the moment that was asked for; the message says how far back the topics reach."""


@dataclass
class Horizon:
    """Finds the moment before which records have been deleted, while slices are read from their beginning."""

    slices: Sequence[Slice]
    now: datetime
    of_topic: dict[str, datetime] = field(default_factory=dict, init=False)
    _firsts: dict[tuple[str, int], int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Partitions that lost their first records; of one that lost all, the topic's retention tells when."""
        retention_ms = {spec.name: spec.retention_ms for spec in topic_specs()}
        for each in self.slices:
            if each.first == 0 or each.start != each.first:
                continue
            if each.count:
                self._firsts[(each.topic, each.partition)] = each.first
            else:
                kept = timedelta(milliseconds=max(retention_ms.get(each.topic, 0), 0))
                self._reaches(each.topic, self.now - kept)

    @property
    def at(self) -> datetime:
        """The moment before which some topic has nothing left."""
        return max(self.of_topic.values(), default=ALWAYS)

    def saw(self, entry: Entry) -> None:
        """One entry was read; the first of each partition counts."""
        if self._firsts.pop((entry.topic, entry.partition), None) is not None:
            self._reaches(entry.topic, entry.appended_at)

    def _reaches(self, topic: str, at: datetime) -> None:
        self.of_topic[topic] = max(self.of_topic.get(topic, ALWAYS), at)


async def fold_topics(
    log: Log,
    slices: Sequence[Slice],
    fold: Fold,
    *,
    now: datetime,
    told: Callable[[int], None] = lambda count: None,
) -> Horizon:
    """Read `slices` into `fold`; answers how far back they reach. Raises KafkaError, Silent, TooMany."""
    horizon = Horizon(slices, now)
    async for records in log.read(slices, told=told):
        for entry in entries(log, records):
            horizon.saw(entry)
            take(fold, entry)
    return horizon


def take(fold: Fold, entry: Entry) -> None:
    """Give one entry to the fold. Raises TooMany."""
    if entry.envelope is not None and entry.event is not None:
        told = entry.envelope
        fold.add(entry.event, sequence=told.sequence, event_id=told.id, told_at=told.time)


def entries(log: Log, records: Iterable[Any]) -> Iterable[Entry]:
    """The records of one batch, understood."""
    return (entry_of(record, log.plain(record)) for record in records)


@dataclass(frozen=True, slots=True)
class Order:
    """A fold as it is asked for. `dsn` is "" where nothing is to be compared."""

    cluster: Cluster
    dsn: str = field(default="", repr=False)
    as_of: datetime | None = None
    since: datetime | None = None
    tenant: str = ""
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fold came to. `read` counts offsets; `comparison` is None where none was asked for."""

    as_of: str
    read: int
    verifications: int
    attempts: int
    states: Mapping[str, int]
    with_gaps: int
    illegal: Sequence[str]
    comparison: Comparison | None = None


async def planned(order: Order) -> list[Slice]:
    """What carrying out the order would read. Raises KafkaError."""
    async with Log(order.cluster) as log:
        return await log.slices(FOLDED_TOPICS, since=order.since)


async def carry_out(order: Order, now: datetime) -> Outcome:
    """The live rows first, if they are wanted: whatever they hold is on the topics by then, or in the outbox.

    Raises KafkaError, Silent, TooMany, TooLongAgo, SinkError, OSError and asyncpg's errors.
    """
    live = None
    if order.dsn:
        async with snapshot(order.dsn) as connection:
            live = await read_live(connection, since=order.since, tenant=order.tenant)
    fold = Fold(as_of=order.as_of, tenant=order.tenant)
    async with Log(order.cluster) as log:
        slices = await log.slices(FOLDED_TOPICS, since=order.since)
        progress = Progress(slices)
        horizon = await fold_topics(log, slices, fold, now=now, told=progress.told)
        progress.done()
    _look_back(order.as_of, horizon.of_topic.get(topics.LIFECYCLE, ALWAYS))
    comparison = None if live is None else compare(fold, live, horizon=horizon.at)
    outcome = summed_up(fold, shown_time(order.as_of or now), sum(each.count for each in slices), comparison)
    if order.sink is not None:
        await store(
            order.sink, fold.rows(), {"as_of": outcome.as_of, "tenant": order.tenant, "read": str(outcome.read)}
        )
    return outcome


def _look_back(as_of: datetime | None, reaches_to: datetime) -> None:
    if as_of is not None and as_of < reaches_to:
        raise TooLongAgo(
            f"{topics.LIFECYCLE} reaches back to {shown_time(reaches_to)} and no further: of {shown_time(as_of)} "
            "nothing is left to fold. How long a topic is kept is its retention.ms"
        )


def summed_up(fold: Fold, as_of: str, read: int, comparison: Comparison | None) -> Outcome:
    """The fold in figures."""
    states: dict[str, int] = {}
    illegal: list[str] = []
    attempts = with_gaps = 0
    for each in fold.rows():
        state = each.verification.state
        states[state] = states.get(state, 0) + 1
        attempts += len(each.attempts)
        with_gaps += bool(each.missing)
        illegal += [f"{each.verification.id}: {step}" for step in each.illegal]
    ordered = dict(sorted(states.items()))
    return Outcome(as_of, read, sum(states.values()), attempts, ordered, with_gaps, tuple(illegal), comparison)
