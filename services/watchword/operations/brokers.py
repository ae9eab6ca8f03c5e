"""What the broker has: whether it answers, its topics as schemas/topics.yaml tells them, its clock."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code

from watchword.contracts.topics import TopicSpec
from watchword.operations.finding import Finding, ill, or_well, well
from watchword.runtime.clock import Clock
from watchword.runtime.kafka import Cluster, stop_quietly

ASKED_WITHIN_S = 15.0
CONNECT_WITHIN_S = 2.0
REQUEST_TIMEOUT_MS = 5_000
CLOCK_TOPIC = "otp.doctor"
FAULTS = (KafkaError, OSError, TimeoutError)
"""What asking a broker can end with."""
_CLEANUP = "cleanup.policy"
_LOG_APPEND_TIME = 1
_UNKNOWN = UnknownTopicOrPartitionError.errno
_AS_OPERATOR = "run the doctor as watchword-operator, whose rules in deploy/kafka/acls.txt let it see them"


@dataclass(frozen=True, slots=True)
class Shape:
    """A topic as the broker has it, or tells it to us: `cleanup` is None where it tells its settings to others only."""

    partitions: int
    cleanup: str | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """A topic of which the broker tells nothing, whether it is there or not; `fault` is its word for why."""

    fault: str


Seen: TypeAlias = Shape | Unseen | None
"""None: it is not there."""


async def broker(cluster: Cluster, specs: Sequence[TopicSpec], *, production: bool) -> list[Finding]:
    """Whether the broker answers and every topic is there as it should be."""
    try:
        async with asyncio.timeout(ASKED_WITHIN_S):
            shapes = await _shapes(cluster, [cluster.topic_prefix + spec.name for spec in specs])
    except FAULTS as error:
        return [await _without_answer(cluster, error)]
    named = {spec.name: shapes.get(cluster.topic_prefix + spec.name) for spec in specs}
    return [well("broker", f"{cluster.bootstrap} answers"), *topics(specs, named, production=production)]


async def _without_answer(cluster: Cluster, error: Exception) -> Finding:
    """A broker that takes a connection and gives no answer over it refuses us, or is asked in another protocol; which,
    the client does not tell."""
    host, _, port = cluster.bootstrap.partition(",")[0].rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except (OSError, ValueError, TimeoutError):
        fix = "start the broker, or correct WATCHWORD_KAFKA"
        return ill("broker", f"{cluster.bootstrap} does not answer: {type(error).__name__}", fix)
    told = f"{cluster.bootstrap} takes a connection and does not let us in: {type(error).__name__}"
    fix = "correct WATCHWORD_KAFKA_SECURITY, _USERNAME, _PASSWORD or _CA; the broker's log tells which"
    return ill("broker", told, fix)


def topics(specs: Iterable[TopicSpec], shapes: Mapping[str, Seen], *, production: bool) -> list[Finding]:
    """How the topics there are differ from those there should be, and what cannot be seen of them. Pure."""
    wanted = tuple(specs)
    found = [flaw for spec in wanted for flaw in _flaws(spec, shapes.get(spec.name), production=production)]
    unseen: dict[str, list[str]] = defaultdict(list)
    for spec in wanted:
        if what := _unseen(shapes.get(spec.name)):
            unseen[what].append(spec.name)
    found += [
        ill("topics", f"{len(names)} of {len(wanted)} {what}: {', '.join(names)}", _AS_OPERATOR)
        for what, names in unseen.items()
    ]
    return or_well(found, well("topics", f"{len(wanted)} topics, each with its partitions and its cleanup"))


def _unseen(shape: Seen) -> str:
    """What of a topic cannot be seen, and why; "" where all can."""
    if isinstance(shape, Unseen):
        return f"are not told of to this user ({shape.fault})"
    if shape is not None and shape.cleanup is None:
        return "have settings that this user may not see"
    return ""


def _flaws(spec: TopicSpec, shape: Seen, *, production: bool) -> Iterable[Finding]:
    if isinstance(shape, Unseen):
        return
    if shape is None:
        yield ill("topics", "is not there", "`watchword topics`", spec.name)
        return
    partitions = spec.partitions_production if production else spec.partitions_local
    if shape.partitions != partitions:
        told = f"{shape.partitions} partitions instead of {partitions}"
        fix = "a partition count is fixed at birth: set WATCHWORD_PARTITIONS to what is meant, or make the topic anew"
        yield ill("topics", told, fix, spec.name)
    if shape.cleanup not in (spec.cleanup, None):
        fix = f"kafka-configs --alter --topic {spec.name} --add-config {_CLEANUP}={spec.cleanup}"
        yield ill("topics", f"{_CLEANUP} is {shape.cleanup} instead of {spec.cleanup}", fix, spec.name)


async def clock_skew_s(cluster: Cluster, clock: Clock) -> float | None:
    """How far the broker's clock is before `clock`, in seconds, half the way there and back subtracted.

    Kafka tells its time only as the time of a record: one is written to a topic of its own, which is deleted again.
    None where the broker lets nobody do that, or keeps the writer's time. Raises KafkaError, OSError, TimeoutError.
    """
    name = f"{cluster.topic_prefix}{CLOCK_TOPIC}-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    async with asyncio.timeout(ASKED_WITHIN_S):
        await admin.start()
        try:
            topic = NewTopic(name, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})
            [made] = (await admin.create_topics([topic])).topic_errors
            if made[1]:
                return None
            try:
                return await _told_skew_s(cluster, name, clock)
            finally:
                await admin.delete_topics([name])
        finally:
            await admin.close()


async def _told_skew_s(cluster: Cluster, name: str, clock: Clock) -> float | None:
    producer = AIOKafkaProducer(**cluster.options(), acks="all", request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await producer.start()
        await producer.send_and_wait(name, b"the first one waits for the leader")
        before = clock.now()
        told = await producer.send_and_wait(name, b"what time is it")
        after = clock.now()
    finally:
        await stop_quietly(producer)
    if told.timestamp_type != _LOG_APPEND_TIME:
        return None
    return float(told.timestamp / 1000 - (before.timestamp() + after.timestamp()) / 2)


async def _shapes(cluster: Cluster, names: Sequence[str]) -> dict[str, Seen]:
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    await admin.start()
    try:
        described = {told["topic"]: told for told in await admin.describe_topics(list(names))}
        there = {name: len(told["partitions"]) for name, told in described.items() if not told["error_code"]}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs={_CLEANUP: ""}) for name in there]
        cleanups = _cleanups(await admin.describe_configs(resources)) if resources else {}
    finally:
        await admin.close()
    unseen: dict[str, Seen] = {
        name: Unseen(for_code(told["error_code"]).__name__)
        for name, told in described.items()
        if told["error_code"] not in (0, _UNKNOWN)
    }
    return unseen | {name: Shape(count, cleanups.get(name)) for name, count in there.items()}


def _cleanups(answers: Iterable[Any]) -> dict[str, str]:
    """The cleanup policy of each topic that may be asked for it, out of DescribeConfigs answers: rows of error,
    message, type, name, entries."""
    return {
        name: str(entry[1])
        for answer in answers
        for error, _message, _kind, name, entries in answer.resources
        for entry in entries
        if not error and entry[0] == _CLEANUP
    }
