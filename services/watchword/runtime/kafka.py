"""Kafka as it is read: where the cluster is, and a consumer that commits only what it may.

Nothing here can write; what can is in `publishing`, which the operators' reading tools may not import.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    CorruptRecordException,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from watchword.runtime.metrics import RuntimeMetrics
from watchword.runtime.pace import Pace
from watchword.runtime.records import read_any_header_name
from watchword.runtime.settings import RuntimeSettings

log = structlog.get_logger()
read_any_header_name()  # here, for whoever makes a consumer asks this module where the cluster is

STOP_DEADLINE_S = 5.0
COMMIT_DEADLINE_S = 5.0
SESSION_TIMEOUT_MS = 12_000
HEARTBEAT_INTERVAL_MS = 3_000
DRAIN_DEADLINE_S = 15.0
# How long a broker keeps a fetch that finds nothing: not how long a record waits, for the first one ends it. Only a
# partition that was held meanwhile waits for its end, so whoever holds partitions for a time asks more often.
FETCH_WAIT_MS = 500
# While records wait to be taken the consumer fetches no others; these are asked for once the first are out.
TOP_UP_MS = 5

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


def cluster_of(settings: RuntimeSettings) -> Cluster:
    """The Kafka cluster that the settings name."""
    return Cluster(
        bootstrap=settings.kafka,
        security=settings.kafka_security,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
        ca_file=settings.kafka_ca,
        topic_prefix=settings.topic_prefix,
        group_prefix=settings.group_prefix,
    )


class Client(Protocol):
    """What every aiokafka client can do."""

    async def stop(self) -> None:
        """Let go of the broker."""


async def stop_quietly(client: Client) -> None:
    """Stop a client within `STOP_DEADLINE_S`; one whose broker is away is let go all the same."""
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
        metrics: RuntimeMetrics | None = None,
        fetch_wait_ms: int = FETCH_WAIT_MS,
        consumer: Callable[..., Any] = AIOKafkaConsumer,
    ) -> None:
        """`consumer` makes the client, with aiokafka's options."""
        self._cluster = cluster
        self._stage = group
        self._metrics = metrics
        self._holding: set[TopicPartition] = set()
        self._topics = [cluster.topic_prefix + topic for topic in topics]
        self._on_revoked = on_revoked
        self.epoch = 0
        self.group = cluster.group_prefix + group
        self._consumer = consumer(
            **cluster.options(),
            client_id=member,
            group_id=self.group,
            group_instance_id=f"{self.group}-{member}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
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
        await stop_quietly(self._consumer)

    async def poll(self, *, records_max: int, wait_ms: int, pace: Pace) -> list[Any]:
        """Up to `records_max` records, each partition's in order, [] after `wait_ms` without any.

        Where `pace` asks for a rest, what arrives meanwhile comes along. All of them are of the assignment that
        `epoch` names when this returns; what was read under an earlier one is dropped, for its new owner to read.
        """
        records = await self._fetched(records_max, wait_ms)
        epoch = self.epoch  # nothing was awaited since
        if not records:
            return records
        rest_s = pace.rest_s()
        if rest_s and len(records) < records_max:
            await asyncio.sleep(rest_s)
            further = await self._fetched(records_max - len(records), TOP_UP_MS)
            # These are of the present assignment, and nobody would read them again; the first ones may not be.
            records = [*records, *further] if epoch == self.epoch else further
        if records:
            pace.begin()
        return records

    async def _fetched(self, records_max: int, wait_ms: int) -> list[Any]:
        if records_max <= 0:
            return []
        try:
            batches = await self._consumer.getmany(timeout_ms=wait_ms, max_records=records_max)
        except CorruptRecordException as error:
            # What the client had read of other partitions is gone with this, and it goes on behind it: from the last
            # commit only is everything read again.
            raise RuntimeError("a batch of records is damaged") from error
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
            self._holding.add(partition)
            self._show_held()

    def release(self, partition: TopicPartition) -> None:
        """Read from `partition` again."""
        self._holding.discard(partition)
        self._show_held()
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
        self._holding.clear()  # an assignment begins with every partition being read
        log.info("kafka.assigned", group=self.group, partitions=len(partitions))
        if self._metrics is not None:
            self._metrics.rebalances.add(stage=self._stage)
            self._metrics.assigned.set(len(partitions), stage=self._stage)
        self._show_held()

    def _show_held(self) -> None:
        if self._metrics is not None:
            self._metrics.held.set(len(self._holding), stage=self._stage)


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
