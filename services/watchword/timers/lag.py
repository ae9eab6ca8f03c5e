"""How far every consumer group is behind, seen from the broker: also of a worker that is dead and tells nothing.

Each look is bounded: one question about every group, one about the ends of all partitions, and `ROUNDS_MAX` questions
by time about those that are behind. Several timers may look at once; their answers are the same.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from watchword.flow import GROUPS
from watchword.runtime.clock import Clock
from watchword.runtime.health import Check
from watchword.runtime.kafka import Cluster, stop_quietly
from watchword.runtime.metrics import Metrics
from watchword.timers.seeking import Found, Seek

LOOK_WITHIN_S = 15.0
REQUEST_TIMEOUT_MS = 5_000
ROUNDS_MAX = 24


@dataclass(frozen=True, slots=True)
class Behind:
    """A partition that a group has not read to its end. `committed` is the next offset it would read."""

    group: str
    partition: TopicPartition
    committed: int
    end: int


@dataclass
class Clients:
    """Connections that ask and never fetch: every partition is paused from the beginning."""

    admin: AIOKafkaAdminClient
    consumer: AIOKafkaConsumer
    partitions: list[TopicPartition] = field(default_factory=list)


class Lag:
    """Looks and tells. Start it after its worker's clock was read."""

    def __init__(self, cluster: Cluster, *, clock: Clock, metrics: Metrics, check: Check) -> None:
        own = metrics.of("lag")
        self._seconds = own.gauge(
            "oldest_seconds", "Age of the oldest uncommitted record, 0 where all are committed.", "group", "topic"
        )
        self._size = own.gauge("waiting_size", "Records that are not committed.", "group", "topic")
        self._cluster = cluster
        self._clock = clock
        self._check = check
        self._clients: Clients | None = None

    async def turn(self) -> None:
        """Look once. Raises KafkaError, OSError or TimeoutError; the next turn connects anew."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                await self._look()
        except Exception as error:
            self._check.failing(f"the broker does not tell: {type(error).__name__}")
            await self.stop()
            raise
        self._check.ok()

    async def start(self) -> None:
        """Nothing is connected before the first turn."""

    async def stop(self) -> None:
        """Let go of the broker."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await stop_quietly(clients.consumer)
            await clients.admin.close()

    async def _look(self) -> None:
        if self._clients is None:
            self._clients = await self._connected()
        clients = self._clients
        ends = await clients.consumer.end_offsets(clients.partitions)
        begins = await clients.consumer.beginning_offsets(clients.partitions)
        behind: list[Behind] = []
        for group, topics in GROUPS.items():
            told = await clients.admin.list_consumer_group_offsets(self._cluster.group_prefix + group)
            committed = {partition: known.offset for partition, known in told.items()}
            behind += _behind(group, self._of(topics, clients.partitions), committed, begins, ends)
        self._tell(behind, await self._ages_s(clients.consumer, behind))

    async def _connected(self) -> Clients:
        options = self._cluster.options()
        admin = AIOKafkaAdminClient(**options, request_timeout_ms=REQUEST_TIMEOUT_MS)
        consumer = AIOKafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            await admin.start()
            names = sorted({self._cluster.topic_prefix + topic for topics in GROUPS.values() for topic in topics})
            partitions = _partitions(await admin.describe_topics(names))
            await consumer.start()
        except BaseException:
            await stop_quietly(consumer)
            await admin.close()
            raise
        consumer.assign(partitions)
        consumer.pause(*partitions)
        return Clients(admin, consumer, partitions)

    def _of(self, topics: Iterable[str], partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        wanted = {self._cluster.topic_prefix + topic for topic in topics}
        return [each for each in partitions if each.topic in wanted]

    async def _ages_s(self, consumer: AIOKafkaConsumer, behind: Sequence[Behind]) -> list[float]:
        """How old the oldest record of each is. One partition may be behind for two groups: each has its own search,
        and a round asks for one moment of a partition."""
        now_ms = int(self._clock.now().timestamp() * 1000)
        seeks = [Seek(each.committed, now_ms) for each in behind]
        for _ in range(ROUNDS_MAX):
            asked: dict[TopicPartition, int] = {}
            for each, seek in zip(behind, seeks, strict=True):
                if seek.next_ms is not None:
                    asked.setdefault(each.partition, seek.next_ms)
            if not asked:
                break
            answers = await consumer.offsets_for_times(dict(asked))
            for each, seek in zip(behind, seeks, strict=True):
                if each.partition in asked and seek.next_ms == asked[each.partition]:
                    seek.learn(asked[each.partition], _found(answers[each.partition]))
        return [max(now_ms - seek.oldest_ms, 0) / 1000 for seek in seeks]

    def _tell(self, behind: Sequence[Behind], ages_s: Sequence[float]) -> None:
        sizes: dict[tuple[str, str], int] = defaultdict(int)
        oldest_s: dict[tuple[str, str], float] = defaultdict(float)
        for each, age_s in zip(behind, ages_s, strict=True):
            place = each.group, each.partition.topic.removeprefix(self._cluster.topic_prefix)
            sizes[place] += each.end - each.committed
            oldest_s[place] = max(oldest_s[place], age_s)
        for group, topics in GROUPS.items():
            for topic in topics:
                self._size.set(sizes[group, topic], group=group, topic=topic)
                self._seconds.set(oldest_s[group, topic], group=group, topic=topic)


def _behind(
    group: str,
    partitions: Iterable[TopicPartition],
    committed: Mapping[TopicPartition, int],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> list[Behind]:
    """What a group has before it. Where it never committed it would begin at the first record there is."""
    found = []
    for partition in partitions:
        begin = begins[partition]
        reached = max(committed.get(partition, begin), begin)
        if reached < ends[partition]:
            found.append(Behind(group, partition, reached, ends[partition]))
    return found


def _partitions(described: Sequence[Mapping[str, Any]]) -> list[TopicPartition]:
    return [TopicPartition(topic["topic"], each["partition"]) for topic in described for each in topic["partitions"]]


def _found(answer: Any) -> Found | None:
    return None if answer is None else Found(answer.offset, answer.timestamp)
