"""What the broker has: whether it answers, its topics as schemas/topics.yaml tells them, its clock."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from watchword.contracts.topics import TopicSpec
from watchword.operations.finding import Finding, ill, or_well, well
from watchword.runtime.clock import Clock
from watchword.runtime.kafka import Cluster, stop_quietly

ASKED_WITHIN_S = 15.0
REQUEST_TIMEOUT_MS = 5_000
CLOCK_TOPIC = "otp.doctor"
_CLEANUP = "cleanup.policy"
_LOG_APPEND_TIME = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """A topic as the broker has it."""

    partitions: int
    cleanup: str


async def broker(cluster: Cluster, specs: Sequence[TopicSpec], *, production: bool) -> list[Finding]:
    """Whether the broker answers and every topic is there as it should be."""
    try:
        async with asyncio.timeout(ASKED_WITHIN_S):
            shapes = await _shapes(cluster, [cluster.topic_prefix + spec.name for spec in specs])
    except (KafkaError, OSError, TimeoutError) as error:
        fix = "start the broker, or correct WATCHWORD_KAFKA and what belongs to it"
        return [ill("broker", f"{cluster.bootstrap} does not answer: {type(error).__name__}", fix)]
    named = {spec.name: shapes.get(cluster.topic_prefix + spec.name) for spec in specs}
    return [well("broker", f"{cluster.bootstrap} answers"), *topics(specs, named, production=production)]


def topics(specs: Iterable[TopicSpec], shapes: Mapping[str, Shape | None], *, production: bool) -> list[Finding]:
    """How the topics there are differ from those there should be. Pure."""
    wanted = tuple(specs)
    found = [flaw for spec in wanted for flaw in _flaws(spec, shapes.get(spec.name), production=production)]
    return or_well(found, well("topics", f"{len(wanted)} topics, each with its partitions and its cleanup"))


def _flaws(spec: TopicSpec, shape: Shape | None, *, production: bool) -> Iterable[Finding]:
    if shape is None:
        yield ill("topics", "is not there", "`watchword topics`", spec.name)
        return
    partitions = spec.partitions_production if production else spec.partitions_local
    if shape.partitions != partitions:
        told = f"{shape.partitions} partitions instead of {partitions}"
        fix = "a partition count is fixed at birth: set WATCHWORD_PARTITIONS to what is meant, or make the topic anew"
        yield ill("topics", told, fix, spec.name)
    if shape.cleanup != spec.cleanup:
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


async def _shapes(cluster: Cluster, names: Sequence[str]) -> dict[str, Shape]:
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    await admin.start()
    try:
        described = [told for told in await admin.describe_topics(list(names)) if not told["error_code"]]
        there = {told["topic"]: len(told["partitions"]) for told in described}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs={_CLEANUP: ""}) for name in there]
        cleanups = _cleanups(await admin.describe_configs(resources)) if resources else {}
        return {name: Shape(count, cleanups.get(name, "unknown")) for name, count in there.items()}
    finally:
        await admin.close()


def _cleanups(answers: Iterable[Any]) -> dict[str, str]:
    """The cleanup policy per topic, out of DescribeConfigs answers: rows of error, message, type, name, entries."""
    found = {}
    for answer in answers:
        for _error, _message, _kind, name, entries in answer.resources:
            found[name] = next((str(entry[1]) for entry in entries if entry[0] == _CLEANUP), "unknown")
    return found
