"""The results topics that tenants have for themselves: made if they are not there, and known before they are used.

A record for a topic that does not exist would hold up the producer and everybody behind it, so nothing is told on one
before the broker has said that it stands.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from watchword.callbacks.decide.tell import TopicState
from watchword.contracts.topics import topics
from watchword.events.topics import RESULTS
from watchword.runtime.configuration import Configuration
from watchword.runtime.kafka import Cluster

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
LOOK_AGAIN_S = 60.0
DEADLINE_S = 10.0
_MADE = frozenset({0, int(TopicAlreadyExistsError.errno)})


class TenantTopics:
    """Which of the tenants' topics stand. `current` is asked for the configuration each time."""

    def __init__(self, cluster: Cluster, current: Callable[[], Configuration], *, production: bool) -> None:
        self._cluster = cluster
        self._current = current
        self._production = production
        self._states: dict[str, TopicState] = {}
        self._looked_at = float("-inf")

    def state(self, topic: str) -> TopicState:
        """Whether `topic` can be written to."""
        return self._states.get(topic, TopicState.UNKNOWN)

    async def turn(self) -> None:
        """Make what is missing: at once where a tenant has a new topic, else once a minute, lest one was deleted."""
        wanted = {tenant.results_topic for tenant in self._current().tenants.values() if tenant.results_topic}
        now_s = asyncio.get_running_loop().time()
        if not wanted or (wanted <= self._states.keys() and now_s - self._looked_at < LOOK_AGAIN_S):
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                self._states = await self._look(wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("callbacks.topics_unknown", error=type(error).__name__)
            return
        self._looked_at = now_s
        if refused := sum(state is TopicState.REFUSED for state in self._states.values()):
            log.error("callbacks.topics_refused", topics=refused)

    async def _look(self, wanted: Iterable[str]) -> dict[str, TopicState]:
        admin = AIOKafkaAdminClient(**self._cluster.options(), request_timeout_ms=int(DEADLINE_S * 1000))
        await admin.start()
        try:
            there = set(await admin.list_topics())
            missing = [topic for topic in sorted(wanted) if self._cluster.topic_prefix + topic not in there]
            made = await self._make(admin, missing)
        finally:
            await admin.close()
        return {
            topic: TopicState.REFUSED if topic in missing and topic not in made else TopicState.THERE
            for topic in wanted
        }

    async def _make(self, admin: AIOKafkaAdminClient, missing: list[str]) -> set[str]:
        if not missing:
            return set()
        prefix = self._cluster.topic_prefix
        answer = await admin.create_topics([self._new(prefix + topic) for topic in missing])
        return {str(name).removeprefix(prefix) for name, code, *_ in answer.topic_errors if code in _MADE}

    def _new(self, name: str) -> NewTopic:
        """A topic like otp.results."""
        like = next(spec for spec in topics() if spec.name == RESULTS)
        return NewTopic(
            name=name,
            num_partitions=like.partitions_production if self._production else like.partitions_local,
            replication_factor=3 if self._production else 1,
            topic_configs={"cleanup.policy": like.cleanup, "retention.ms": str(like.retention_ms)},
        )
