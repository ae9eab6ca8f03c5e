"""Clients of the simulated Kafka, as aiokafka's. They belong to a process, and do nothing for a dead one."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, RequestTimedOutError

from tests.simulation.loop import OWNER, go_by, in_world, use_port

if TYPE_CHECKING:
    from tests.simulation.log import Broker, Record

IDLE_POLLS_S = (0.6, 1.0, 2.0, 4.0)
PATIENT_MS = 100
APART_S = 1e-6  # what is due at one moment has no order


class Listener(Protocol):
    """What a consumer tells of its partitions: aiokafka's ConsumerRebalanceListener."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Before they leave."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Once they are there."""


class Consumer:
    """A consumer of one process."""

    def __init__(self, broker: "Broker", group: str, instance: str) -> None:
        self.group = group
        self.instance = instance
        self.topics: tuple[str, ...] = ()
        self._broker = broker
        self.owner = OWNER.get()
        self._listener: Listener | None = None
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._places: list[TopicPartition] = []
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._stopped = False
        self._background: list[asyncio.Task[None]] = []
        self._idle_polls = 0
        self._waiting: asyncio.Future[None] | None = None

    @property
    def heard(self) -> bool:
        """Whether the group still hears its heartbeat."""
        return self.owner.alive and not self.owner.frozen and not self._stopped

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        """What to read, and whom to tell of it."""
        self.topics, self._listener = tuple(topics), listener
        self._broker.subscribe(self)

    async def start(self) -> None:
        """Join the group."""
        await self._reach()
        self._broker.join(self)

    async def stop(self) -> None:
        """Fall silent. A static member says no goodbye."""
        self._stopped = True
        self._broker.leave(self)

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions it believes to hold."""
        return self._assignment

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on there."""
        self._positions[self._held(partition)] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        """Read nothing of them for now."""
        self._paused.update(map(self._held, partitions))

    def resume(self, *partitions: TopicPartition) -> None:
        """Read them again."""
        self._paused.difference_update(map(self._held, partitions))

    async def getmany(self, *, timeout_ms: int, max_records: int) -> "dict[TopicPartition, list[Record]]":
        """What there is, each partition's records in order; nothing after `timeout_ms`, or a while later when nobody
        waits: an idle broker is in no hurry, the less the longer it is idle."""
        await self._reach()
        found = self._take(max_records)
        if not found and timeout_ms > 0:
            patient = timeout_ms >= PATIENT_MS and not self._paused and not self.owner.leaving
            idle_s = IDLE_POLLS_S[min(self._idle_polls, len(IDLE_POLLS_S) - 1)] if patient else 0.0
            self._idle_polls += 1
            await self._wait(max(timeout_ms / 1000, idle_s))
            self._living()
            found = self._take(max_records)
        if found:
            self._idle_polls = 0
        return found

    def appended(self, place: TopicPartition) -> None:
        """There is a record more, perhaps for this consumer."""
        if place in self._assignment:
            self.wake()

    def wake(self) -> None:
        """Whoever waits for records looks again."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(timeout_s, self.wake)
        try:
            await self._waiting
        finally:
            timer.cancel()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises KafkaError, of which some mean that it was not done and some that nobody knows."""
        await self._reach()
        for partition in offsets:
            self._held(partition)
        if self._broker.silent():
            if self._broker.chance(0.5):
                self._broker.commit(self, offsets)
            raise RequestTimedOutError
        self._broker.commit(self, offsets)
        await self._reach()

    def own_task(self, coro: Coroutine[Any, Any, None]) -> None:
        """A task of the consumer's process, as its background coroutines are; the dead begin none."""
        if not self.owner.alive:
            coro.close()
            return
        token = OWNER.set(self.owner)
        try:
            self._background.append(asyncio.ensure_future(coro))
        finally:
            OWNER.reset(token)

    async def let_go(self) -> None:
        """The partitions leave: their reader finishes first."""
        self._living()
        if self._listener is not None:
            await self._listener.on_partitions_revoked(set(self._assignment))
        self._assignment, self._places = frozenset(), []

    async def notice(self, after_s: float) -> None:
        """A heartbeat: whoever is no member any more lets go of what it held, and joins anew."""
        await go_by(after_s)
        self._living()
        if not self._stopped and not self._broker.is_member(self):
            await self.let_go()
            self._broker.come_back(self)

    async def take_up(self, starts: Mapping[TopicPartition, int]) -> None:
        """The partitions come."""
        self._living()
        self._assignment, self._positions, self._paused = frozenset(starts), dict(starts), set()
        self._places = sorted(starts)
        if self._listener is not None:
            await self._listener.on_partitions_assigned(set(starts))
        self.wake()

    def _take(self, records_max: int) -> "dict[TopicPartition, list[Record]]":
        places = [place for place in self._places if self._broker.holds(place, self._positions[place])]
        if self._paused:
            places = [place for place in places if place not in self._paused]
        if len(places) > 1:
            self._broker.shuffle(places)
        found: dict[TopicPartition, list[Record]] = {}
        for place in places:
            if records_max <= 0:
                break
            records = found[place] = self._broker.read(place, self._positions[place], records_max)
            self._positions[place] = records[-1].offset + 1
            records_max -= len(records)
        return found

    def _held(self, partition: TopicPartition) -> TopicPartition:
        if partition not in self._assignment:
            raise IllegalStateError(f"{partition} is not assigned")
        return partition

    async def _reach(self) -> None:
        self._living()
        if (delay_s := self._broker.delay_s()) > 0:
            await go_by(delay_s)
            self._living()

    def _living(self) -> None:
        use_port(self.owner)


class Producer:
    """A producer of one process. What it sends keeps its order within a partition; what is not acknowledged may have
    arrived, or arrive later, or never."""

    def __init__(self, broker: "Broker") -> None:
        self._broker = broker
        self.owner = OWNER.get()
        self._last_s: dict[TopicPartition, float] = {}

    async def start(self) -> None:
        """Raises KafkaError while no broker answers."""
        await self._reach()
        if self._broker.is_away:
            raise RequestTimedOutError

    async def stop(self) -> None:
        """Let go."""
        await self._reach()

    async def partitions_for(self, topic: str) -> set[int]:
        """The numbers of the topic's partitions, which a client knows."""
        return {place.partition for place in self._broker.partitions_of([topic])}

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        partition: int | None = None,
    ) -> "asyncio.Future[None]":
        """Answers a future that is done once the record is safe, if the acknowledgement arrives."""
        await self._reach()
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()
        place = self._broker.partition_of(topic, key) if partition is None else TopicPartition(topic, partition)
        silent = self._broker.silent()
        late_s = (15.0 if self._broker.chance(0.33) else 0.0) if silent else 0.0
        lost = self._broker.is_away or (silent and late_s == 0.0 and self._broker.chance(0.5))
        at_s = max(self._last_s.get(place, 0.0) + APART_S, loop.time() + self._broker.delay_s() + late_s)
        self._last_s[place] = at_s

        def arrive() -> None:
            if not lost:
                self._broker.append(place, key, value, headers)
            if not silent and not acknowledged.done():
                acknowledged.set_result(None)

        with in_world():
            loop.call_at(at_s, arrive)
        return acknowledged

    async def _reach(self) -> None:
        use_port(self.owner)
        if (delay_s := self._broker.delay_s()) > 0:
            await go_by(delay_s)
            use_port(self.owner)
