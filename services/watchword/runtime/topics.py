"""Creating the topics from schemas/topics.yaml: explicit partitions, retention and cleanup, never by accident."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from watchword.contracts.topics import TopicSpec, topics
from watchword.runtime.kafka import Cluster

CREATE_DEADLINE_MS = 30_000
PARTITIONS_MAX = 1_000
_EXISTS = int(TopicAlreadyExistsError.errno)


class TopicsRefused(Exception):
    """The broker refused to create a topic; the message names the topic and the broker's reason."""


async def create_topics(
    cluster: Cluster, *, production: bool, replication: int = 1, partitions_max: int = PARTITIONS_MAX
) -> list[str]:
    """Create what is missing, none with more than `partitions_max` partitions; answers the names created. Existing
    topics are left as they are. Raises TopicsRefused, or KafkaError when no broker answers."""
    admin = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=CREATE_DEADLINE_MS)
    await admin.start()
    try:
        wanted = [
            _new_topic(cluster, spec, _partitions(spec, production, partitions_max), replication) for spec in topics()
        ]
        answer = await admin.create_topics(wanted, timeout_ms=CREATE_DEADLINE_MS)
        return _created(answer.topic_errors)
    finally:
        await admin.close()


def _created(told: Sequence[Sequence[object]]) -> list[str]:
    created = []
    for name, code, *rest in told:
        if code == 0:
            created.append(str(name))
        elif code != _EXISTS:
            raise TopicsRefused(f"{name}: {for_code(code).__name__} {rest[0] if rest else ''}".strip())
    return created


def _partitions(spec: TopicSpec, production: bool, partitions_max: int) -> int:
    return min(spec.partitions_production if production else spec.partitions_local, partitions_max)


def _new_topic(cluster: Cluster, spec: TopicSpec, partitions: int, replication: int) -> NewTopic:
    return NewTopic(
        name=cluster.topic_prefix + spec.name,
        num_partitions=partitions,
        replication_factor=replication,
        topic_configs=spec.configs,
    )
