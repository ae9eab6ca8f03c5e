"""Everything that lies on the topics of a cluster, and the life of each verification as they tell it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from watchword.contracts import topics as contract
from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.replay.fold import FOLDED_TOPICS
from watchword.runtime.kafka import Cluster

POLL_MS = 200
STOP_READING_AFTER_POLLS = 200
ALL = tuple(each.name for each in contract.topics())
DEAD = tuple(each for each in ALL if each not in topics.ALL)


@dataclass(frozen=True, slots=True)
class Told:
    """One counted event: its type without `otp.` and version, its number in the life of its verification, and who told
    it."""

    sequence: int
    event: str
    id: str
    worker: str


@asynccontextmanager
async def reader_of(cluster: Cluster, names: Iterable[str]) -> AsyncIterator[tuple[Any, list[TopicPartition]]]:
    """A consumer that holds every partition of these topics, and the partitions. A topic that does not exist is
    an error: nobody shall find nothing on it."""
    consumer = AIOKafkaConsumer(
        **cluster.options(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        found = await admin.describe_topics(list(names))
    finally:
        await admin.close()
    assert not [each["topic"] for each in found if each["error_code"]]
    partitions = [TopicPartition(each["topic"], one["partition"]) for each in found for one in each["partitions"]]
    consumer.assign(partitions)
    await consumer.start()
    try:
        yield consumer, partitions
    finally:
        await consumer.stop()


async def everything_on(cluster: Cluster, names: Iterable[str]) -> list[Any]:
    """Every record of these topics up to their present ends."""
    async with reader_of(cluster, names) as (consumer, partitions):
        left = {each: end for each, end in (await consumer.end_offsets(partitions)).items() if end > 0}
        found: list[Any] = []
        for _ in range(STOP_READING_AFTER_POLLS):
            if not left:
                return found
            for batch in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                found += batch
            left = {each: end for each, end in left.items() if await consumer.position(each) < end}
    raise AssertionError(f"could not read to the end of {left}")


async def lives(cluster: Cluster) -> dict[str, list[Told]]:
    """The counted events of every verification in sequence, an event that was told twice once."""
    found: defaultdict[str, dict[str, Told]] = defaultdict(dict)
    for record in await everything_on(cluster, FOLDED_TOPICS):
        told = envelopes.read(record.headers)
        if told.sequence:
            event = told.type.removeprefix("otp.").rpartition(".")[0]
            found[told.subject][told.id] = Told(told.sequence, event, told.id, told.source.rpartition("/")[2])
    return {each: sorted(life.values(), key=lambda one: one.sequence) for each, life in found.items()}


async def lag(cluster: Cluster, group: str, names: Iterable[str]) -> int:
    """How many records of these topics a consumer group has not finished. What it never committed counts in full."""
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(cluster.group_prefix + group)
    finally:
        await admin.close()
    async with reader_of(cluster, names) as (consumer, partitions):
        ends = await consumer.end_offsets(partitions)
    return sum(end - max(committed[each].offset if each in committed else 0, 0) for each, end in ends.items())


async def publish(cluster: Cluster, topic: str, value: bytes, headers: dict[str, str], key: str = "") -> None:
    """Put one record on a topic, as a publisher would. Raises KafkaError when no broker answers."""
    producer = AIOKafkaProducer(**cluster.options(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        told = [(name, text.encode()) for name, text in headers.items()]
        await producer.send_and_wait(topic, value, key=(key or headers.get("ce_id", "key")).encode(), headers=told)
    except KafkaError as error:
        raise AssertionError(f"could not publish to {topic}") from error
    finally:
        await producer.stop()
