"""Kafka with our own deadlines: a producer that is rebuilt when it cannot be trusted, a consumer that commits only
what it may.

aiokafka's idempotent producer never gives up on a batch by itself, so a publish that misses its deadline is
*unknown*, not failed; and after certain errors every later send of the same producer fails while it looks alive.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

log = structlog.get_logger()

PUBLISH_DEADLINE_S = 10.0
STOP_DEADLINE_S = 5.0
COMMIT_DEADLINE_S = 5.0
SESSION_TIMEOUT_MS = 12_000
HEARTBEAT_INTERVAL_MS = 3_000
DRAIN_DEADLINE_S = 15.0

_LOST_MEMBERSHIP = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the brokers are and how to speak to them. `topic_prefix` and `group_prefix` set test runs apart."""

    bootstrap: str
    security: str = "PLAINTEXT"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    topic_prefix: str = ""
    group_prefix: str = ""

    def options(self) -> dict[str, Any]:
        """The connection options that every aiokafka client takes."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security}
        if self.security.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file or None)
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be published. `topic` is the plain name, without prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class PublishUnknown(Exception):
    """The broker did not acknowledge in time, or refused: the records may or may not be on the topic."""


class Publisher:
    """An idempotent, acks=all producer, rebuilt after any failure. Safe to use from several tasks."""

    def __init__(self, cluster: Cluster, *, client_id: str, linger_ms: int = 2) -> None:
        self._cluster = cluster
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
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
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(deadline_s):
                producer = await self._current()
                acknowledgements = [await self._send(producer, record) for record in records]
                await asyncio.gather(*acknowledgements)
        except (KafkaError, TimeoutError, OSError) as error:
            if producer is not None and producer is self._producer:
                self._producer = None
                self._discard(producer)
            raise PublishUnknown(f"{len(records)} records: {error!r}") from error

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing) -> "asyncio.Future[Any]":
        acknowledgement: asyncio.Future[Any] = await producer.send(
            self._cluster.topic_prefix + record.topic,
            record.value,
            key=record.key,
            headers=list(record.headers),
        )
        return acknowledgement

    async def _current(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._building:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._cluster.options(),
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=self._linger_ms,
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

    def _discard(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer in the background: stopping one whose broker is away waits, and nobody should."""
        task = asyncio.create_task(_stop_quietly(producer))
        self._discarded.add(task)
        task.add_done_callback(self._discarded.discard)


async def _stop_quietly(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await client.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("kafka.client_stopped_hard", error=repr(error))


class Reader:
    """A member of a consumer group that commits explicit offsets, and none across a change of assignment.

    `on_revoked` is awaited before partitions leave, so that what is in flight can be finished and committed.
    """

    def __init__(
        self,
        cluster: Cluster,
        topics: Sequence[str],
        *,
        group: str,
        member: str,
        on_revoked: Callable[[], Awaitable[None]],
        fetch_wait_ms: int = 100,
        from_start: bool = True,
    ) -> None:
        self._cluster = cluster
        self._topics = [cluster.topic_prefix + topic for topic in topics]
        self._on_revoked = on_revoked
        self.epoch = 0
        self.group = cluster.group_prefix + group
        self._consumer = AIOKafkaConsumer(
            **cluster.options(),
            client_id=member,
            group_id=self.group,
            group_instance_id=f"{self.group}-{member}",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_start else "latest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            rebalance_timeout_ms=int((DRAIN_DEADLINE_S + 5) * 1000),
            fetch_max_wait_ms=fetch_wait_ms,
            max_partition_fetch_bytes=256 * 1024,
            request_timeout_ms=20_000,
        )

    async def start(self) -> None:
        """Join the group. Raises KafkaError when no broker answers."""
        self._consumer.subscribe(self._topics, listener=_Listener(self._revoked, self._assigned))
        await self._consumer.start()

    async def stop(self) -> None:
        """Leave. A static member keeps its partitions until its session ends, so a quick restart moves nothing."""
        await _stop_quietly(self._consumer)

    async def poll(self, *, records_max: int, wait_ms: int) -> list[Any]:
        """Up to `records_max` records in partition order, [] after `wait_ms` without any."""
        batches = await self._consumer.getmany(timeout_ms=wait_ms, max_records=records_max)
        return [record for batch in batches.values() for record in batch]

    async def commit(self, offsets: "dict[TopicPartition, int]", *, epoch: int) -> bool:
        """Commit the next offset per partition unless the assignment changed since `epoch`.

        A refused commit is normal when partitions moved: their new owner reads again and changes nothing.
        """
        if epoch != self.epoch or not offsets:
            return False
        try:
            async with asyncio.timeout(COMMIT_DEADLINE_S):
                await self._consumer.commit(offsets)
        except (*_LOST_MEMBERSHIP, KafkaError, TimeoutError, OSError) as error:
            log.info("kafka.commit_refused", group=self.group, error=repr(error))
            return False
        return True

    def hold(self, partition: TopicPartition, offset: int) -> None:
        """Read nothing more from `partition`; go on at `offset` once released."""
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)
            self._consumer.pause(partition)

    def release(self, partition: TopicPartition) -> None:
        """Read from `partition` again."""
        if partition in self._consumer.assignment():
            self._consumer.resume(partition)

    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions this member holds now."""
        return frozenset(self._consumer.assignment())

    def plain(self, topic: str) -> str:
        """The topic's name without the run's prefix."""
        return topic.removeprefix(self._cluster.topic_prefix)

    async def _revoked(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_DEADLINE_S):
                await self._on_revoked()
        except TimeoutError:
            log.warning("kafka.drain_timed_out", group=self.group)
        self.epoch += 1

    async def _assigned(self, partitions: "set[TopicPartition]") -> None:
        self.epoch += 1
        log.info("kafka.assigned", group=self.group, partitions=len(partitions))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(
        self,
        revoked: Callable[[], Awaitable[None]],
        assigned: "Callable[[set[TopicPartition]], Awaitable[None]]",
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: "set[TopicPartition]") -> None:
        await self._revoked()

    async def on_partitions_assigned(self, assigned: "set[TopicPartition]") -> None:
        await self._assigned(assigned)
