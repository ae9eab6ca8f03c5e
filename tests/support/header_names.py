"""Header names of any bytes, as clients in other languages can write them and aiokafka cannot."""

import struct
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from watchword.runtime.kafka import Cluster

STAND_IN = "QQQQ"
NO_TEXT = b"\xff\xfeQQ"
_CRC_AT, _COVERED_FROM = 17, 21  # of a batch: Kafka's protocol, RecordBatch


def with_names_of_any_bytes(batch: bytes) -> bytes:
    """A batch of records in which whatever is called `STAND_IN` is called `NO_TEXT` instead."""
    raw = bytearray(batch.replace(STAND_IN.encode(), NO_TEXT))
    struct.pack_into(">I", raw, _CRC_AT, calc_crc32c(bytes(raw[_COVERED_FROM:])))
    return bytes(raw)


async def publish_with_names_of_any_bytes(
    cluster: Cluster, topic: str, records: Sequence[tuple[bytes, bytes, Sequence[tuple[str, bytes]]]]
) -> None:
    """Publish keys, values and headers as one batch, to the topic's first partition."""
    producer = AIOKafkaProducer(**cluster.options(), acks="all")
    await producer.start()
    try:
        batch = producer.create_batch()
        for key, value, headers in records:
            assert batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is not None
        batch.close()
        batch._buffer = with_names_of_any_bytes(bytes(batch._build()))
        await (await producer.send_batch(batch, cluster.topic_prefix + topic, partition=0))
    finally:
        await producer.stop()
