"""The results topics that tenants have for themselves: made if they are not there, and known before they are used.

A record for a topic that does not exist would hold up the producer and everybody behind it, so nothing is told on one
before the broker has said that it stands. What is to be told there waits (`results.py`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from watchword.callbacks.decide.tell import TopicState
from watchword.contracts.topics import topics
from watchword.events.topics import RESULTS
from watchword.runtime.configuration import Configuration
from watchword.runtime.kafka import Cluster

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
LOOK_AGAIN_S = 60.0
ASK_AGAIN_S = 5.0
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

    def standing(self) -> Mapping[str, str]:
        """The topics that can be written to, by their tenants."""
        tenants = self._current().tenants.values()
        return {each.id: each.results_topic for each in tenants if self.state(each.results_topic) is TopicState.THERE}

    async def turn(self) -> None:
        """Make what is missing: at once where a tenant has a new topic, soon where the broker could not say, else once
        a minute, lest one was deleted."""
        wanted = {tenant.results_topic for tenant in self._current().tenants.values() if tenant.results_topic}
        now_s = asyncio.get_running_loop().time()
        again_s = ASK_AGAIN_S if TopicState.UNKNOWN in self._states.values() else LOOK_AGAIN_S
        if not wanted or (wanted <= self._states.keys() and now_s - self._looked_at < again_s):
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
        return dict.fromkeys(wanted, TopicState.THERE) | dict.fromkeys(missing, TopicState.UNKNOWN) | made

    async def _make(self, admin: AIOKafkaAdminClient, missing: list[str]) -> dict[str, TopicState]:
        if not missing:
            return {}
        prefix = self._cluster.topic_prefix
        answer = await admin.create_topics([self._new(prefix + topic) for topic in missing])
        return {str(name).removeprefix(prefix): state_after(code) for name, code, *_ in answer.topic_errors}

    def _new(self, name: str) -> NewTopic:
        """A topic like otp.results."""
        like = next(spec for spec in topics() if spec.name == RESULTS)
        return NewTopic(
            name=name,
            num_partitions=like.partitions_production if self._production else like.partitions_local,
            replication_factor=3 if self._production else 1,
            topic_configs={"cleanup.policy": like.cleanup, "retention.ms": str(like.retention_ms)},
        )


def state_after(code: int) -> TopicState:
    """What Kafka's error code to the making of a topic says of it: whatever may be answered otherwise a moment later
    (a controller that moves, a broker that is slow) refuses nothing."""
    if code in _MADE:
        return TopicState.THERE
    return TopicState.UNKNOWN if for_code(code).retriable else TopicState.REFUSED
