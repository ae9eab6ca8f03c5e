"""Kafka as it is written: a producer with our own deadlines, rebuilt when it cannot be trusted.

Whoever publishes hands over whole batches, so the client waits for nothing more: each of its waits costs another half a
millisecond of CPU, and every publish five milliseconds.

aiokafka's idempotent producer never gives up on a batch by itself, so a publish that misses its deadline is
*unknown*, not failed; and after certain errors every later send of the same producer fails while it looks alive.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, codec
from aiokafka.errors import KafkaError

from watchword.runtime.kafka import STOP_DEADLINE_S, Cluster, stop_quietly
from watchword.runtime.partitioning import partition_of

PUBLISH_DEADLINE_S = 10.0
# The client's level of LZ4 is 9, as it is the broker's. A batch of ours becomes two percent larger by 1, in a third of
# the time: 2 µs instead of 7 for one event, 4 instead of 17 for ten.
codec.lz4_encode.__defaults__ = (1,)


class Outgoing(msgspec.Struct, frozen=True):
    """One record to be published. `topic` is the plain name, without prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class PublishUnknown(Exception):
    """The broker did not acknowledge in time, or refused: the records may or may not be on the topic."""


class BrokerAway(PublishUnknown):
    """No broker could be reached, so nothing was sent: it says nothing about the records."""


class Publisher:
    """An idempotent, acks=all producer, rebuilt after any failure. Safe to use from several tasks."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        client_id: str,
        observe: Callable[[float], None] = lambda seconds: None,
        producer: Callable[..., Any] = AIOKafkaProducer,
    ) -> None:
        """`observe` is told how long each publish took that was acknowledged; `producer` makes the client, with
        aiokafka's options."""
        self._make = producer
        self._cluster = cluster
        self._observe = observe
        self._client_id = client_id
        self._producer: Any = None
        self._building = asyncio.Lock()
        self._discarded: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect. Raises KafkaError or TimeoutError when no broker answers."""
        await self._current()

    async def stop(self) -> None:
        """Flush and let go, within `STOP_DEADLINE_S` each."""
        if self._producer is not None:
            self._discard(self._producer)
            self._producer = None
        if self._discarded:
            await asyncio.wait(set(self._discarded), timeout=STOP_DEADLINE_S * 2)

    async def publish(self, records: Sequence[Outgoing], *, deadline_s: float = PUBLISH_DEADLINE_S) -> None:
        """Publish `records` and wait until every one is acknowledged. Raises PublishUnknown."""
        if not records:
            return

        async def send(producer: Any) -> "list[asyncio.Future[Any]]":
            topics = {self._cluster.topic_prefix + record.topic for record in records}
            partitions = {topic: len(await producer.partitions_for(topic)) for topic in topics}
            return [await self._send(producer, record, partitions) for record in records]

        await self._acknowledged(send, f"{len(records)} records", deadline_s)

    async def append(
        self,
        topic: str,
        entries: Mapping[int, Mapping[bytes, bytes | None]],
        *,
        deadline_s: float = PUBLISH_DEADLINE_S,
    ) -> None:
        """Publish keys and values without headers, by partition and in order, to `topic` as it is named in full.

        They go out as whole batches, which costs a tenth of record by record; for a topic to which nobody else writes.
        Raises PublishUnknown.
        """
        count = sum(map(len, entries.values()))
        if not count:
            return

        async def send(producer: Any) -> "list[asyncio.Future[Any]]":
            return [
                await producer.send_batch(batch, topic, partition=partition)
                for partition, told in entries.items()
                if told
                for batch in _batches(producer, told)
            ]

        await self._acknowledged(send, f"{count} entries", deadline_s)

    async def _acknowledged(
        self, send: "Callable[[Any], Awaitable[list[asyncio.Future[Any]]]]", what: str, deadline_s: float
    ) -> None:
        producer: Any = None
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s):
                producer = await self._current()
                await asyncio.gather(*await send(producer))
                self._observe(time.monotonic() - started_s)
        except (KafkaError, TimeoutError, OSError) as error:
            if producer is not None and producer is self._producer:
                self._producer = None
                self._discard(producer)
            unknown = BrokerAway if producer is None else PublishUnknown
            raise unknown(f"{what}: {error!r}") from error

    async def probe(self, *, deadline_s: float) -> None:
        """Ask the brokers who they are, as this producer reaches them. Raises PublishUnknown when none answers."""
        try:
            async with asyncio.timeout(deadline_s):
                producer = await self._current()
                answered = await producer.client.force_metadata_update()
        except (KafkaError, TimeoutError, OSError) as error:
            raise PublishUnknown(repr(error)) from error
        if not answered:
            raise PublishUnknown("no broker answers")

    async def _send(self, producer: Any, record: Outgoing, partitions: Mapping[str, int]) -> "asyncio.Future[Any]":
        """Send one record. `partitions` says how many a topic has: a client that is not told where a record goes makes
        lists of them for each.

        It does not go out with others as a batch of ours, as entries that are appended do. While a batch waits for its
        partition the client adds no record to it, and gives up the next batch before its time if others overtake it.
        """
        topic = self._cluster.topic_prefix + record.topic
        acknowledgement: asyncio.Future[Any] = await producer.send(
            topic,
            record.value,
            key=record.key,
            partition=None if record.key is None else partition_of(record.key, partitions[topic]),
            headers=list(record.headers),
        )
        return acknowledgement

    async def _current(self) -> Any:
        if self._producer is not None:
            return self._producer
        async with self._building:
            if self._producer is None:
                producer = self._make(
                    **self._cluster.options(),
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=256 * 1024,
                    compression_type="lz4",
                    request_timeout_ms=5_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    self._discard(producer)
                    raise
                self._producer = producer
        return self._producer

    def _discard(self, producer: Any) -> None:
        """Stop a producer in the background: stopping one whose broker is away waits, and nobody should."""
        task = asyncio.create_task(stop_quietly(producer))
        self._discarded.add(task)
        task.add_done_callback(self._discarded.discard)


def _batches(producer: AIOKafkaProducer, entries: Mapping[bytes, bytes | None]) -> Iterator[Any]:
    """As few batches as hold all entries, in order. The first of a batch always fits."""
    batch = producer.create_batch()
    for key, value in entries.items():
        if batch.append(timestamp=None, key=key, value=value) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    batch.close()
    yield batch
