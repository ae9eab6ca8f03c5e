"""Whether the stream stands still: records wait in a partition that is ours, and nothing is committed there.

After a rebalance in a bad moment Faust may keep a partition and never read from it again, or never commit there
again, and looks well all the while. Only a new process mends that, so somebody has to notice. The broker is asked,
not the stream: how far the group is, and where the partitions end.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from watchword.runtime.kafka import Cluster, stop_quietly

# A batch is weighed in well under a second and committed half a second later; what is behind moves all the same.
PATIENCE_S = 12.0
LOOK_WITHIN_S = 10.0
REQUEST_TIMEOUT_MS = 5_000


@dataclass
class Standing:
    """Since when each partition that has something left has been where it is. Seconds of one monotonic clock."""

    patience_s: float = PATIENCE_S
    _since: dict[int, tuple[int, float]] = field(default_factory=dict)

    def look(self, committed: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> list[int]:
        """The partitions that have had something left for longer than patience lasts, and did not move."""
        behind = {each: committed.get(each, 0) for each, end in ends.items() if committed.get(each, 0) < end}
        self._since = {
            each: self._since[each] if self._since.get(each, (-1, 0.0))[0] == at else (at, now_s)
            for each, at in behind.items()
        }
        return sorted(each for each, (_, since_s) in self._since.items() if now_s - since_s > self.patience_s)

    def forget(self) -> None:
        """What was seen says nothing any more."""
        self._since.clear()


class Standstill:
    """Looks at the partitions of `topic` that are `ours` now. `found` is what only a new process can mend."""

    def __init__(self, cluster: Cluster, *, group: str, topic: str, ours: Callable[[], Set[int]]) -> None:
        self._cluster = cluster
        self._group = group
        self._topic = topic
        self._ours = ours
        self._standing = Standing()
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None
        self.found: BaseException | None = None

    async def turn(self) -> None:
        """Look once. Raises what the broker's silence raises; then whatever was seen before is forgotten: a stream
        without a broker stands still with reason."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                stuck = await self._look()
        except BaseException:
            self._standing.forget()
            await self.stop()
            raise
        if stuck:
            self.found = RuntimeError(f"nothing was committed for {PATIENCE_S:g} s in partitions {stuck}")

    async def stop(self) -> None:
        """Let go of the broker."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await stop_quietly(clients[1])
            await clients[0].close()

    async def _look(self) -> list[int]:
        if self._clients is None:
            self._clients = await self._connected()
        admin, consumer = self._clients
        told = await admin.list_consumer_group_offsets(self._group)
        ours = [TopicPartition(self._topic, number) for number in sorted(self._ours())]
        ends = await consumer.end_offsets(ours) if ours else {}
        committed = {each.partition: told[each].offset for each in ours if each in told}
        return self._standing.look(committed, {each.partition: end for each, end in ends.items()}, time.monotonic())

    async def _connected(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        options = self._cluster.options()
        admin = AIOKafkaAdminClient(**options, request_timeout_ms=REQUEST_TIMEOUT_MS)
        consumer = AIOKafkaConsumer(
            **options, group_id=None, enable_auto_commit=False, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            await admin.start()
            await consumer.start()
        except BaseException:
            await stop_quietly(consumer)
            await admin.close()
            raise
        return admin, consumer
