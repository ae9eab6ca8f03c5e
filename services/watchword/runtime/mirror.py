"""The newest risk level of every feature, in memory: the compacted topic read from its start, and followed.

Asking it costs a dictionary look-up and waits for nobody. While Kafka is away it answers from what it has, and every
level ends by itself at its `until`.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.kernel.feature import LIFTED, Kind, feature_key, kind_of, trail_of
from watchword.runtime.clock import Clock
from watchword.runtime.health import Check
from watchword.runtime.kafka import FETCH_WAIT_MS, STOP_DEADLINE_S, Cluster, stop_quietly

log = structlog.get_logger()

START_WITHIN_S = 300.0
PROGRESS_WITHIN_S = 30.0  # however long the topic is, somebody answers
TIDY_EVERY = 50_000
_AWAY = (KafkaError, OSError, TimeoutError)
_NOTHING = frozenset({RiskLevel.NORMAL, RiskLevel.UNKNOWN})
_PAUSE_S = 1.0
_POLL_MS = 200
_RECORDS_MAX = 1_000


class Mirrored(NamedTuple):
    """One level in force, and when the judge said so: Kafka's time of the record, for reading a whole envelope costs
    three times as much as the level in it, and most levels are followed by the next before anybody asks for them."""

    level: RiskLevelSet
    told_at: datetime


class LevelMap:
    """What the mirror holds: at most `entries_max` levels of the wanted `kinds`, those that end last."""

    def __init__(self, kinds: Collection[Kind], entries_max: int) -> None:
        self._kinds = frozenset(kinds)
        self._entries_max = entries_max
        self._levels: dict[str, Mirrored] = {}
        self._lifted: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def wants(self, feature: str) -> bool:
        """Whether anything that is said of a feature is held here."""
        return kind_of(feature) in self._kinds or feature.startswith(LIFTED)

    def put(self, feature: str, mirrored: Mirrored | None) -> None:
        """The newest word on a feature; None, or a normal level, takes it out. A lift stands beside what is said of its
        feature, and above it."""
        if feature.startswith(LIFTED):
            self._lift(feature.removeprefix(LIFTED), mirrored)
        elif mirrored is None or mirrored.level.level in _NOTHING:
            self._levels.pop(feature, None)
        elif kind_of(feature) in self._kinds:
            self._levels[feature] = mirrored

    def get(self, feature: str, now: datetime) -> Mirrored | None:
        """The level in force at `now`, None for a feature that looks normal or that an operator lifted."""
        mirrored = self._levels.get(feature)
        if mirrored is None or now >= mirrored.level.until:
            return None
        return None if self._lifted and now < self._lifted.get(feature, now) else mirrored

    def tidy(self, now: datetime) -> None:
        """Let go of levels that are over and, if too many are left, of those that are over soonest."""
        self._lifted = {feature: until for feature, until in self._lifted.items() if now < until}
        left = {feature: each for feature, each in self._levels.items() if now < each.level.until}
        if len(left) > self._entries_max:
            by_end = sorted(left.items(), key=lambda entry: entry[1].level.until, reverse=True)
            left = dict(by_end[: self._entries_max])
        self._levels = left

    def _lift(self, feature: str, mirrored: Mirrored | None) -> None:
        if mirrored is None:
            self._lifted.pop(feature, None)
        else:
            self._lifted[feature] = mirrored.level.until


class LevelMirror:
    """Follows `otp.risk-levels` without a consumer group. A service: started, it has caught up."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        member: str,
        clock: Clock,
        check: Check,
        kinds: Collection[Kind] = frozenset(Kind),
        entries_max: int = 200_000,
    ) -> None:
        self._cluster = cluster
        self._member = member
        self._clock = clock
        self._check = check
        self._map = LevelMap(kinds, entries_max)
        self._caught_up = asyncio.Event()
        self._since_tidied = 0
        self._read_to: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the topic to its end, then follow it. Raises TimeoutError if that takes longer than five minutes."""
        self._task = asyncio.create_task(self._run(), name=f"mirror-{self._member}")
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await self._caught_up.wait()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_DEADLINE_S + 1)

    @property
    def failed(self) -> BaseException | None:
        """The error that ended the following, if one did: a bug, which only a restart can mend."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def __len__(self) -> int:
        return len(self._map)

    def level(self, feature: str, now: datetime) -> Mirrored | None:
        """The level in force for a feature key at `now`, None where it looks normal."""
        return self._map.get(feature, now)

    def levels(self, features: Mapping[Kind, str], now: datetime) -> dict[Kind, Mirrored]:
        """The levels in force for the feature keys of one request."""
        found = {}
        for kind, feature in features.items():
            mirrored = self._map.get(feature, now)
            if mirrored is not None:
                found[kind] = mirrored
        return found

    def refusing(self, *, tenant: str, country: str, range_: str, now: datetime) -> RiskLevelSet | None:
        """The block in force for a destination, the finest before the coarsest; None where it may be sent to.

        It is for the caller to ask only where the tenant enforces and the user is not vouched for (`trusted`).
        """
        for _, feature in reversed(trail_of(feature_key(Kind.RANGE, range_, tenant), country)):
            mirrored = self._map.get(feature, now)
            if mirrored is not None and mirrored.level.level is RiskLevel.BLOCKED:
                return mirrored.level
        return None

    async def _run(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                self._cluster.topic_prefix + topics.RISK_LEVELS,
                **self._cluster.options(),
                client_id=self._member,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=FETCH_WAIT_MS,
            )
            try:
                async with asyncio.timeout(PROGRESS_WITHIN_S) as bound:
                    await consumer.start()
                    await self._catch_up(consumer, bound)
                while True:
                    self._take(await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX))
                    self._check.ok()
            except _AWAY as error:
                log.warning("mirror.interrupted", member=self._member, error=repr(error))
                self._check.failing("kafka does not answer")
            finally:
                await stop_quietly(consumer)
            await asyncio.sleep(_PAUSE_S)

    async def _catch_up(self, consumer: AIOKafkaConsumer, bound: asyncio.Timeout) -> None:
        """To the end, from where this mirror was before it lost its broker; `bound` is put off while it goes on."""
        partitions = sorted(consumer.assignment())
        if not partitions:
            raise UnknownTopicOrPartitionError(topics.RISK_LEVELS)
        await consumer.seek_to_beginning(*partitions)
        for partition in self._read_to.keys() & set(partitions):
            consumer.seek(partition, self._read_to[partition])
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            if records := await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX):
                self._take(records)
                bound.reschedule(asyncio.get_running_loop().time() + PROGRESS_WITHIN_S)
        self._check.ok()
        self._caught_up.set()

    def _take(self, batches: "Mapping[TopicPartition, Iterable[Any]]") -> None:
        for partition, records in batches.items():
            for record in records:
                self._take_one(record)
                self._read_to[partition] = record.offset + 1
        if self._since_tidied >= TIDY_EVERY:
            self._map.tidy(self._clock.now())
            self._since_tidied = 0

    def _take_one(self, record: Any) -> None:
        """One record. One that cannot be read is passed over: the judge wrote it, and will write the next. Of what is
        not held nothing but the key is read: most of what is told is about a few numbers each."""
        self._since_tidied += 1
        feature = (record.key or b"").decode("utf-8", "replace")
        if not self._map.wants(feature):
            return
        if record.value is None:
            self._map.put(feature, None)
            return
        try:
            event = decode(envelopes.type_in(record.headers), record.value)
        except (UnreadableEvent, ValueError) as error:
            log.warning("mirror.unreadable", offset=record.offset, error=str(error))
            return
        if isinstance(event, RiskLevelSet):
            self._map.put(feature, Mirrored(event, datetime.fromtimestamp(record.timestamp / 1_000, UTC)))
