"""The topics, read by manual assignment: no group, no commit, nothing that a broker or a worker would notice.

What is to be read is decided first, as slices of partitions with an end, so that a reading of a busy cluster ends and
can be told beforehand.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from watchword.kernel.instant import to_us
from watchword.runtime.kafka import Cluster, stop_quietly
from watchword.runtime.partitioning import partition_of

POLL_MS = 500
RECORDS_PER_POLL_MAX = 5_000
SILENCE_MAX_S = 30.0
REQUEST_TIMEOUT_MS = 15_000


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """A part of one partition: offsets from `start` up to, not including, `end`. `first` is the oldest offset that
    the partition still holds. `topic` is the plain name."""

    topic: str
    partition: int
    start: int
    end: int
    first: int = 0

    @property
    def count(self) -> int:
        """How many offsets it spans; compaction may have left fewer records."""
        return max(self.end - self.start, 0)


class Silent(Exception):
    """The broker gave no record for `SILENCE_MAX_S` although there are some."""


class Log:
    """The topics of one cluster, for reading. Use it as an asynchronous context; one reading at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=REQUEST_TIMEOUT_MS)
        self._consumer = AIOKafkaConsumer(
            **cluster.options(),
            client_id="watchword-replay",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError when no broker answers."""
        await self._admin.start()
        try:
            await self._consumer.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Let go, whatever happened."""
        await stop_quietly(self._consumer)
        await self._admin.close()

    async def slices(
        self,
        topics: Iterable[str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> list[Slice]:
        """What there is to read of `topics` now, each partition up to its present end.

        `since` and `until` bound the time at which records were appended; `keys` names, for some topics, the one key
        that is looked for, so that only its partition is read. Topics that do not exist are left out. Raises
        KafkaError.
        """
        wanted = await self._partitions(topics, keys or {})
        if not wanted:
            return []
        self._consumer.assign(wanted)
        self._consumer.pause(*wanted)
        first = await self._consumer.beginning_offsets(wanted)
        last = await self._consumer.end_offsets(wanted)
        starts = first if since is None else await self._at(wanted, since, last)
        ends = last if until is None else await self._at(wanted, until, last)
        return sorted(
            Slice(self._plain(each.topic), each.partition, max(starts[each], first[each]), ends[each], first[each])
            for each in wanted
        )

    async def unseen(self, topics: Iterable[str]) -> dict[str, str]:
        """Those of `topics` of which nothing can be read, which `slices` leaves out, and in words why. Raises
        KafkaError."""
        names = [self._cluster.topic_prefix + topic for topic in topics]
        told = await self._admin.describe_topics(names)
        return {self._plain(each["topic"]): _why(each["error_code"]) for each in told if each["error_code"]}

    async def read(
        self, slices: Iterable[Slice], *, told: Callable[[int], None] = lambda count: None
    ) -> AsyncIterator[Sequence[Any]]:
        """The records of `slices` as aiokafka gives them, batch by batch, each partition's in order; `told` hears
        how many offsets were passed. Raises Silent, KafkaError."""
        left = {TopicPartition(self._cluster.topic_prefix + each.topic, each.partition): each for each in slices}
        left = {partition: each for partition, each in left.items() if each.count}
        self._assign({partition: each.start for partition, each in left.items()})
        passed = {partition: each.start for partition, each in left.items()}
        heard_at = time.monotonic()
        while left:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX)
            for partition, records in batches.items():
                if partition in left and (wanted := [each for each in records if each.offset < left[partition].end]):
                    yield wanted
            moved = await self._pass(left, passed)
            told(moved)
            if moved:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_MAX_S:
                raise Silent(
                    f"no record came for {SILENCE_MAX_S:g} s; {len(left)} partitions are not read to their end"
                )

    async def follow(self, slices: Iterable[Slice]) -> AsyncIterator[Sequence[Any]]:
        """What comes after the end of `slices`, until the caller stops asking. Empty when nothing came for a while."""
        self._assign(
            {TopicPartition(self._cluster.topic_prefix + each.topic, each.partition): each.end for each in slices}
        )
        while True:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX)
            yield [record for records in batches.values() for record in records]

    async def committed(self, groups: Iterable[str]) -> dict[str, dict[tuple[str, int], int]]:
        """The next offset of each group (plain names) by topic and partition; groups that never committed are left
        out. Raises KafkaError."""
        found = {}
        for group in groups:
            offsets = await self._admin.list_consumer_group_offsets(self._cluster.group_prefix + group)
            told = {(self._plain(each.topic), each.partition): one.offset for each, one in offsets.items()}
            if told:
                found[group] = {position: offset for position, offset in told.items() if offset >= 0}
        return found

    async def groups(self) -> list[str]:
        """The plain names of the consumer groups of this run's prefix. Raises KafkaError."""
        prefix = self._cluster.group_prefix
        told = await self._admin.list_consumer_groups()
        return sorted({name.removeprefix(prefix) for name, *_ in told if name.startswith(prefix)})

    def plain(self, record: Any) -> str:
        """The plain topic of a record."""
        return self._plain(record.topic)

    def _plain(self, topic: str) -> str:
        return topic.removeprefix(self._cluster.topic_prefix)

    def _assign(self, starts: Mapping[TopicPartition, int]) -> None:
        if not starts:
            return
        self._consumer.assign(list(starts))
        for partition, offset in starts.items():
            self._consumer.seek(partition, offset)

    async def _pass(self, left: dict[TopicPartition, Slice], passed: dict[TopicPartition, int]) -> int:
        """How many offsets were passed since the last look; partitions read to their end leave `left`."""
        moved = 0
        for partition, each in list(left.items()):
            position = min(await self._consumer.position(partition), each.end)
            moved += position - passed[partition]
            passed[partition] = position
            if position >= each.end:
                del left[partition]
                self._consumer.pause(partition)
        return moved

    async def _partitions(self, topics: Iterable[str], keys: Mapping[str, str]) -> list[TopicPartition]:
        names = [self._cluster.topic_prefix + topic for topic in topics]
        found = []
        for told in await self._admin.describe_topics(names):
            if told["error_code"] == 0:
                name, numbers = told["topic"], sorted(each["partition"] for each in told["partitions"])
                key = keys.get(self._plain(name))
                found += [TopicPartition(name, each) for each in (numbers if key is None else [_of_key(key, numbers)])]
        return found

    async def _at(
        self, partitions: Iterable[TopicPartition], moment: datetime, last: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The first offset per partition appended at `moment` or later; its end where there is none."""
        asked = {each: max(to_us(moment) // 1_000, 0) for each in partitions}
        told = await self._consumer.offsets_for_times(asked)
        return {each: last[each] if one is None else one.offset for each, one in told.items()}


def _why(error_code: int) -> str:
    error = for_code(error_code)
    known = {TopicAuthorizationFailedError: "may not be read", UnknownTopicOrPartitionError: "is not there"}
    return known.get(error, f"cannot be read: {error.__name__}")


def _of_key(key: str, numbers: Sequence[int]) -> int:
    """The partition in which our producers put `key`."""
    return numbers[partition_of(key.encode(), len(numbers))]


READ_ERRORS = (KafkaError, Silent, OSError)
"""What a reading can end with, when the cluster is away or goes away."""
