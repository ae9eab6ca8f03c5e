"""The life of one verification, read back from the topics and from nothing else."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.kernel.event import Event
from watchword.runtime.kafka import Cluster

TOLD_ON = (
    topics.REQUESTS,
    topics.ASSESSMENTS,
    topics.DISPATCH,
    *(t for _, t in topics.RETRY_TIERS_S),
    topics.LIFECYCLE,
)
POLL_MS = 500
RECORDS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a verification: its sequence number, when it was told, where it lies."""

    sequence: int
    at: datetime
    name: str
    topic: str
    event_id: str
    event: Event


async def read_timeline(cluster: Cluster, verification_id: str) -> list[Moment]:
    """Every event of the verification in sequence, repeats dropped. Reads all of the topics: for small clusters.

    Raises KafkaError when no broker answers.
    """
    names = [cluster.topic_prefix + topic for topic in TOLD_ON]
    # Without a group, a subscription is every partition of the topics.
    consumer = AIOKafkaConsumer(*names, **cluster.options(), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        ends = await _from_the_start(consumer)
        found = await _read_until(consumer, ends, verification_id)
    finally:
        await consumer.stop()
    return sorted({moment.event_id: moment for moment in found}.values(), key=lambda moment: moment.sequence)


async def _from_the_start(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    partitions = list(consumer.assignment())
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    return {partition: end for partition, end in ends.items() if end > 0}


async def _read_until(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], verification_id: str
) -> list[Moment]:
    found: list[Moment] = []
    left = dict(ends)
    count = 0
    while left and count < RECORDS_MAX:
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for records in batches.values():
            count += len(records)
            found += [moment for record in records if (moment := _moment(record, verification_id))]
        for partition in list(left):
            if await consumer.position(partition) >= left[partition]:
                del left[partition]
    return found


def _moment(record: Any, verification_id: str) -> Moment | None:
    try:
        told = envelopes.read(record.headers)
        if told.subject != verification_id:
            return None
        event = decode(told.type, record.value)
    except (UnreadableEvent, ValueError):
        return None
    topic = record.topic
    return Moment(told.sequence, told.time, event.NAME, topic, told.id, event)
