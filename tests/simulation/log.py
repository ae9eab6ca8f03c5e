"""Kafka in memory, as far as aiokafka shows it: partitions, groups that rebalance, commits that are refused.

`Broker.consumer` and `Broker.producer` stand where AIOKafkaConsumer and AIOKafkaProducer stand, so that the readers and
publishers above them are the workers' own. tests/contract/runtime/test_simulated_log.py holds both to one suite.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import UnknownMemberIdError

from tests.simulation.clients import Consumer, Producer
from tests.simulation.loop import Owner, go_by, in_world
from watchword.runtime.partitioning import partition_of

SESSION_S = 12.0
HEARTBEAT_S = 3.0
FIRST_DEAL_S = 0.3
REBALANCE_MAX_S = 20.0
DELAY_MAX_S = 0.006
SLOW_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a consumer gets it; `timestamp` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(eq=False)
class Member:
    """One consumer of a group. `generation` is that of the assignment it holds, -1 without one; `letting_go` is done
    when it has let go of its partitions or need not be waited for any more."""

    consumer: Consumer
    generation: int = -1
    letting_go: "asyncio.Future[None] | None" = None
    joined: bool = False

    def wait_no_more(self) -> None:
        """Whatever it does, the others go on."""
        if self.letting_go is not None and not self.letting_go.done():
            self.letting_go.set_result(None)


@dataclass(eq=False)
class Group:
    """A consumer group: its members by their static id, what it has committed, who reads what."""

    name: str
    members: dict[str, Member] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    assigned: dict[str, frozenset[TopicPartition]] = field(default_factory=dict)
    generation: int = 0
    dirty: bool = False
    rebalancing: "asyncio.Task[None] | None" = None


class Broker:
    """The cluster. `partitions` a topic unless `topics` says otherwise; `trouble` is how often a request gets no
    answer; until `away_until_s` nobody gets one."""

    def __init__(self, draw: random.Random, *, partitions: int, now_ms: Callable[[], int]) -> None:
        self.trouble = 0.0
        self.away_until_s = 0.0
        self.logs: dict[TopicPartition, list[Record]] = {}
        self.groups: dict[str, Group] = {}
        self.commits: list[tuple[str, TopicPartition, int]] = []
        self._draw = draw
        self._partitions = partitions
        self._now_ms = now_ms
        self._readers: dict[str, list[Consumer]] = defaultdict(list)
        self._consumers: list[Consumer] = []

    def consumer(self, *_: Any, **options: Any) -> Consumer:
        """Stands for AIOKafkaConsumer."""
        made = Consumer(self, options["group_id"], options["group_instance_id"])
        self._consumers.append(made)
        return made

    def producer(self, **_: Any) -> Producer:
        """Stands for AIOKafkaProducer."""
        return Producer(self)

    def partitions_of(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of some topics."""
        return [TopicPartition(topic, number) for topic in topics for number in range(self._partitions)]

    def partition_of(self, topic: str, key: bytes | None) -> TopicPartition:
        """Where a key's records go."""
        number = self._draw.randrange(self._partitions) if key is None else partition_of(key, self._partitions)
        return TopicPartition(topic, number)

    def append(self, place: TopicPartition, key: bytes | None, value: bytes | None, headers: Sequence[Any]) -> None:
        """A record comes to lie at the end of a partition, and whoever waits for one hears of it."""
        log = self.logs.setdefault(place, [])
        log.append(Record(place.topic, place.partition, len(log), self._now_ms(), key, value, tuple(headers)))
        for reader in self._readers[place.topic]:
            reader.appended(place)

    def subscribe(self, consumer: Consumer) -> None:
        """It is told of what is appended to its topics from now on."""
        for topic in consumer.topics:
            self._readers[topic].append(consumer)

    def holds(self, place: TopicPartition, offset: int) -> bool:
        """Whether there is a record at `offset` or after it."""
        return offset < len(self.logs.get(place, ()))

    def read(self, place: TopicPartition, offset: int, count: int) -> list[Record]:
        """Up to `count` records from `offset` on."""
        return self.logs.get(place, [])[offset : offset + count]

    @property
    def is_away(self) -> bool:
        """Whether nobody reaches it."""
        return asyncio.get_running_loop().time() < self.away_until_s

    def silent(self) -> bool:
        """Whether this request gets no answer."""
        return self.is_away or (self.trouble > 0 and self._draw.random() < self.trouble)

    def chance(self, share: float) -> bool:
        """True so often."""
        return self._draw.random() < share

    def shuffle(self, places: list[TopicPartition]) -> None:
        """Brokers promise no order between partitions."""
        self._draw.shuffle(places)

    def delay_s(self) -> float:
        """How long something takes on its way, mostly next to nothing."""
        luck = self._draw.random()
        return luck / SLOW_SHARE * DELAY_MAX_S if luck < SLOW_SHARE else 0.0

    # Groups ---------------------------------------------------------------------------------------------------------

    def join(self, consumer: Consumer) -> None:
        """A member comes. One that takes up a static id anew gets the partitions of that id at once: nobody else
        notices."""
        group = self.groups.setdefault(consumer.group, Group(consumer.group))
        known = group.members.get(consumer.instance)
        member = group.members[consumer.instance] = Member(consumer)
        if known is not None:
            known.wait_no_more()
        if known is not None and group.rebalancing is None and consumer.instance in group.assigned:
            self._assign(group, member)
        else:
            self.rebalance(group)

    def fell_silent(self, owner: Owner) -> None:
        """A process is heard no more: killed, or frozen."""
        for consumer in self._of(owner):
            self.leave(consumer)

    def is_back(self, owner: Owner) -> None:
        """A frozen process goes on. With its next heartbeat it hears what became of its membership."""
        for consumer in self._of(owner):
            consumer.own_task(consumer.notice(self._draw.random() * HEARTBEAT_S))

    def hurry(self, owner: Owner) -> None:
        """Its consumers have waited long enough for records."""
        for consumer in self._of(owner):
            consumer.wake()

    def leave(self, consumer: Consumer) -> None:
        """A member is heard no more. A static one keeps its partitions until its session ends."""
        if consumer.group in self.groups:
            with in_world():
                asyncio.get_running_loop().call_later(SESSION_S, self.expire, consumer)

    def expire(self, consumer: Consumer) -> None:
        """A session ends, if that member is still away."""
        group = self.groups.get(consumer.group)
        member = group.members.get(consumer.instance) if group is not None else None
        if group is not None and member is not None and member.consumer is consumer and not consumer.heard:
            self._drop(group, member)
            member.wait_no_more()
            self.rebalance(group)

    def close(self) -> None:
        """No group is left: on a loop that goes on, none of their sessions ends any more."""
        for group in self.groups.values():
            if group.rebalancing is not None:
                group.rebalancing.cancel()
        self.groups.clear()

    def rebalance(self, group: Group) -> None:
        """Partitions are dealt anew: asked for by whoever comes or goes, or by chance."""
        group.dirty = True
        if group.rebalancing is None:
            with in_world():
                group.rebalancing = asyncio.ensure_future(self._rebalance(group))

    async def _rebalance(self, group: Group) -> None:
        while group.dirty:
            group.dirty = False
            # Members hear of it with their next heartbeat; the first to come wait a little for the others.
            await go_by(self._draw.random() * (HEARTBEAT_S if group.generation else FIRST_DEAL_S))
            asked = list(group.members.values())
            waiting = [self._give_up(member) for member in asked]
            if waiting:
                await asyncio.wait(waiting, timeout=REBALANCE_MAX_S)
            for member in asked:
                if not member.joined and group.members.get(member.consumer.instance) is member:
                    self._drop(group, member)
                    member.consumer.own_task(member.consumer.notice(HEARTBEAT_S))
            if group.members:
                self._deal(group)
        group.rebalancing = None

    def _give_up(self, member: Member) -> "asyncio.Future[None]":
        """Have a member finish and let go, in its own process and time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        member.joined, member.letting_go = False, done

        async def letting_go() -> None:
            await member.consumer.let_go()
            member.joined = True
            _settle(done)

        member.consumer.own_task(letting_go())
        return done

    def _drop(self, group: Group, member: Member) -> None:
        del group.members[member.consumer.instance]
        group.assigned.pop(member.consumer.instance, None)

    def _of(self, owner: Owner) -> list[Consumer]:
        return [each for each in self._consumers if each.owner is owner]

    def _deal(self, group: Group) -> None:
        group.generation += 1
        group.assigned = {}
        members = sorted(group.members.values(), key=lambda each: each.consumer.instance)
        for topic in sorted({topic for member in members for topic in member.consumer.topics}):
            readers = [member for member in members if topic in member.consumer.topics]
            for number, place in enumerate(self.partitions_of([topic])):
                instance = readers[(number + group.generation) % len(readers)].consumer.instance
                group.assigned[instance] = group.assigned.get(instance, frozenset()) | {place}
        for member in members:
            self._assign(group, member)

    def _assign(self, group: Group, member: Member) -> None:
        member.generation, member.joined = group.generation, False
        places = group.assigned.setdefault(member.consumer.instance, frozenset())
        starts = {place: group.committed.get(place, 0) for place in sorted(places)}
        member.consumer.own_task(member.consumer.take_up(starts))

    def come_back(self, consumer: Consumer) -> None:
        """A member that was given up, and hears of it only now, joins anew."""
        group = self.groups[consumer.group]
        if consumer.instance not in group.members:
            group.members[consumer.instance] = Member(consumer)
            self.rebalance(group)

    def is_member(self, consumer: Consumer) -> bool:
        """Whether the group knows this consumer."""
        member = self.groups[consumer.group].members.get(consumer.instance)
        return member is not None and member.consumer is consumer

    def commit(self, consumer: Consumer, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises UnknownMemberIdError for a member of the past."""
        group = self.groups[consumer.group]
        member = group.members.get(consumer.instance)
        if member is None or member.consumer is not consumer or member.generation != group.generation or member.joined:
            raise UnknownMemberIdError
        for place, offset in offsets.items():
            group.committed[place] = offset
            self.commits.append((group.name, place, offset))


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
