"""Reads topics from their beginning, again and again, as a member of no group: for tests that look at what was told."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from watchword.runtime.kafka import Cluster

_ROUND_MS = 200


class Onlooker:
    """One consumer for all looks of a test. What was read once is kept, so that a look only reads what is new."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._consumer: AIOKafkaConsumer | None = None
        self._seen: dict[TopicPartition, list[Any]] = {}

    async def records(self, topic: str, partitions_of: Callable[[str], Awaitable[Iterable[int]]]) -> list[Any]:
        """Every record on `topic` so far, partition by partition. `partitions_of` is asked at the first look."""
        consumer = await self._started()
        known = [each for each in self._seen if each.topic == topic]
        partitions = known or self._looking_at(consumer, topic, sorted(await partitions_of(topic)))
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for partition, batch in (await consumer.getmany(timeout_ms=_ROUND_MS)).items():
                self._seen[partition].extend(batch)
        return [record for partition in partitions for record in self._seen[partition]]

    async def stop(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**self._cluster.options(), group_id=None, enable_auto_commit=False)
            await self._consumer.start()
        return self._consumer

    def _looking_at(self, consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int]) -> list[TopicPartition]:
        """The partitions of `topic`, looked at from now on together with those of earlier looks."""
        found = [TopicPartition(topic, number) for number in numbers]
        self._seen |= {each: [] for each in found}
        consumer.assign(list(self._seen))
        for partition, seen in self._seen.items():
            consumer.seek(partition, seen[-1].offset + 1 if seen else 0)
        return found
