"""One suite over the simulated Kafka and the real one: what readers count on of records, positions, commits and groups.
What the simulated one does beside that (losing acknowledgements, answering late) Kafka does too, on worse days."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalStateError, KafkaError

from tests.simulation.log import Broker
from tests.support import kafka
from tests.support.waiting import eventually
from watchword.runtime.kafka import Cluster
from watchword.runtime.partitioning import partition_of
from watchword.runtime.publishing import Outgoing, Publisher

PARTITIONS = 2
WITHIN_S = 20.0
NUMBERS = [b"%d" % number for number in range(10)]


@dataclass
class Clients:
    """Makes clients of one cluster, and a topic's name that nobody else uses."""

    consumer: Callable[..., Any]
    producer: Callable[..., Any]
    publisher: Publisher
    topic: str

    @property
    def partitions(self) -> set[TopicPartition]:
        """Of the topic."""
        return {TopicPartition(self.topic, number) for number in range(PARTITIONS)}

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator["Listening"]:
        """A member of the one group, joined."""
        options: dict[str, Any] = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        options |= {"heartbeat_interval_ms": 500, "session_timeout_ms": 6_000, "fetch_max_wait_ms": 50}
        group = f"{self.topic}-group"
        made = self.consumer(group_id=group, group_instance_id=f"{group}-{name}", **options)
        listening = Listening(made)
        made.subscribe([self.topic], listener=listening)
        await made.start()
        try:
            yield listening
        finally:
            await made.stop()

    async def publish(self, *values: bytes) -> None:
        """Each under itself as its key, acknowledged."""
        producer = self.producer()
        await producer.start()
        for value in values:
            await (await producer.send(self.topic, value, key=value, headers=[("h", value)]))
        await producer.stop()


class Listening(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """A consumer, what it was told of its partitions, and what it read."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.told: list[str] = []
        self.read: list[Any] = []

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.told.append("revoked")

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.told.append("assigned")

    async def has_read(self, count: int) -> list[Any]:
        """The first moment at which it has read so many records."""

        async def enough() -> list[Any]:
            found = await self.consumer.getmany(timeout_ms=100, max_records=3)
            self.read += [record for records in found.values() for record in records]
            return self.read if len(self.read) >= count else []

        return await eventually(enough, within_s=WITHIN_S, what=f"{count} records")

    async def holds(self, count: int) -> frozenset[TopicPartition]:
        """The first moment at which it holds so many partitions."""

        async def enough() -> frozenset[TopicPartition]:
            await self.consumer.getmany(timeout_ms=50, max_records=1)
            held = frozenset(self.consumer.assignment())
            return held if len(held) == count else frozenset()

        return await eventually(enough, within_s=WITHIN_S, what=f"{count} partitions")


@pytest_asyncio.fixture(params=["simulated", "kafka"])
async def clients(request: pytest.FixtureRequest, topic_prefix: str) -> AsyncIterator[Clients]:
    if request.param == "simulated":
        simulated = Broker(Random(1), partitions=PARTITIONS, now_ms=lambda: int(time.monotonic() * 1_000))
        publisher = Publisher(Cluster(""), client_id="publisher", producer=simulated.producer)
        yield Clients(simulated.consumer, simulated.producer, publisher, topic_prefix)
        await publisher.stop()
        simulated.close()
        return
    cluster: kafka.Cluster = request.getfixturevalue("broker")
    address = {"bootstrap_servers": cluster.bootstrap}
    admin = AIOKafkaAdminClient(**address)
    await admin.start()
    await admin.create_topics([NewTopic(topic_prefix, PARTITIONS, 1)])
    producer = partial(AIOKafkaProducer, **address, acks="all")
    publisher = Publisher(Cluster(cluster.bootstrap), client_id="publisher")
    yield Clients(partial(AIOKafkaConsumer, **address), producer, publisher, topic_prefix)
    await publisher.stop()
    await admin.delete_topics([topic_prefix])
    await admin.close()


async def test_records_come_in_their_partition_s_order_and_a_commit_is_where_the_next_one_begins(
    clients: Clients,
) -> None:
    values = [b"%d" % number for number in range(8)]
    await clients.publish(*values)
    async with clients.member("a") as member:
        read = await member.has_read(len(values))
        assert sorted(record.value for record in read) == values
        assert all(record.key == record.value and dict(record.headers)["h"] == record.value for record in read)
        for place in clients.partitions:
            own = [record.offset for record in read if record.partition == place.partition]
            assert own == list(range(len(own)))
        last = {TopicPartition(each.topic, each.partition): each.offset + 1 for each in read}
        await member.consumer.commit(last)
    await clients.publish(b"after")
    async with clients.member("a") as member:
        assert [record.value for record in await member.has_read(1)] == [b"after"]


async def test_what_is_published_together_keeps_the_order_of_its_keys(clients: Clients) -> None:
    told = [Outgoing(clients.topic, key, number, (("h", key),)) for number in NUMBERS for key in (b"a", b"b", b"c")]
    keyless = Outgoing(clients.topic, None, b"keyless", ())
    await clients.publisher.publish([*told, keyless])
    await clients.publisher.publish([Outgoing(clients.topic, b"a", None, ())])
    async with clients.member("a") as member:
        read = await member.has_read(len(told) + 2)
    assert [record.value for record in read if record.key is None] == [b"keyless"]
    values = {key: [record.value for record in read if record.key == key] for key in (b"a", b"b", b"c")}
    assert values == {b"a": [*NUMBERS, None], b"b": NUMBERS, b"c": NUMBERS}
    assert all(dict(record.headers) == {"h": record.key} for record in read if record.key and record.value)
    assert {record.partition for record in read if record.key == b"a"} == {partition_of(b"a", PARTITIONS)}


async def test_a_partition_can_be_held_and_read_again_from_a_place(clients: Clients) -> None:
    await clients.publish(*(b"%d" % number for number in range(8)))
    async with clients.member("a") as member:
        read = await member.has_read(8)
        again = TopicPartition(read[0].topic, read[0].partition)
        member.consumer.seek(again, 0)
        member.consumer.pause(again)
        assert not await member.consumer.getmany(timeout_ms=100, max_records=8)
        member.consumer.resume(again)
        assert (await member.has_read(9))[8].offset == 0


async def test_offsets_of_what_is_not_held_are_refused(clients: Clients) -> None:
    async with clients.member("a") as member:
        await member.holds(PARTITIONS)
        with pytest.raises((IllegalStateError, KafkaError)):
            await member.consumer.commit({TopicPartition(clients.topic, 77): 1})


@pytest.mark.slow
async def test_members_share_the_partitions_and_are_told_before_they_leave(clients: Clients) -> None:
    async with clients.member("a") as first:
        await first.holds(PARTITIONS)
        async with clients.member("b") as second:
            theirs = await first.holds(1), await second.holds(1)
            assert theirs[0] | theirs[1] == clients.partitions
            assert first.told[-2:] == ["revoked", "assigned"]
