"""What is too large for one batch, or for Kafka."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support import kafka
from tests.support.waiting import eventually
from watchword.runtime.kafka import Cluster
from watchword.runtime.publishing import Outgoing, Publisher, PublishUnknown

WITHIN_S = 20.0
TOPIC = "large"


@pytest_asyncio.fixture
async def publisher(broker: kafka.Cluster, topic_prefix: str) -> AsyncIterator[Publisher]:
    """To the topic `large`, which takes what Kafka by itself takes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic_prefix + TOPIC, 1, 1)])
    await admin.close()
    made = Publisher(Cluster(broker.bootstrap, topic_prefix=topic_prefix), client_id="publisher")
    yield made
    await made.stop()


async def read(broker: kafka.Cluster, topic: str, count: int) -> list[bytes | None]:
    """The first moment at which the topic holds so many values."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    values: list[bytes | None] = []

    async def enough() -> bool:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            values.extend(record.value for record in records)
        return len(values) >= count

    try:
        await eventually(enough, within_s=WITHIN_S, what=f"{count} values")
    finally:
        await consumer.stop()
    return values


async def test_what_does_not_fit_into_one_batch_is_followed_by_another_in_order(
    publisher: Publisher, broker: kafka.Cluster, topic_prefix: str
) -> None:
    sizes = (100_000, 100_000, 100_000, 400_000, 10, 300_000, 10)
    values = [os.urandom(size) for size in sizes]
    await publisher.publish([Outgoing(TOPIC, b"key", value, (("h", b"1"),)) for value in values])
    assert await read(broker, topic_prefix + TOPIC, len(values)) == values


async def test_what_kafka_does_not_take_is_unknown_and_the_next_is_published(
    publisher: Publisher, broker: kafka.Cluster, topic_prefix: str
) -> None:
    """However small it would be once compressed."""
    with pytest.raises(PublishUnknown):
        await publisher.publish([Outgoing(TOPIC, b"key", b"x" * (3 << 20), ())])
    await publisher.publish([Outgoing(TOPIC, b"key", b"small", ())])
    assert await read(broker, topic_prefix + TOPIC, 1) == [b"small"]
