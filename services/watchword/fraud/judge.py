"""The judge: takes signals in, keeps a node per feature, tells levels. The stream library is in `stream.py` alone.

For each event: levels are published and acknowledged before the table changes, so that a crash between the two tells
the same level again instead of never.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.signal_observed import SignalKind, SignalObserved
from watchword.fraud.decide.node import Node, forgettable
from watchword.fraud.decide.observe import seen_of
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.weigh import weigh
from watchword.fraud.metrics import JudgeMetrics
from watchword.fraud.rulesets import RULES_EVERY_S, Rulesets
from watchword.fraud.settings import FraudSettings
from watchword.kernel.event import Emit
from watchword.kernel.feature import SOURCES, Kind, kind_of, shard_of
from watchword.runtime import outbox
from watchword.runtime.clock import Clock
from watchword.runtime.failpoints import reach
from watchword.runtime.keyring import Purpose
from watchword.runtime.outbox import Origin
from watchword.runtime.process import Context
from watchword.runtime.publishing import Outgoing, Publisher, PublishUnknown
from watchword.runtime.stop import Service, Turning

READS = (topics.SIGNALS,)
WRITES = (RiskLevelSet,)
KEYS: frozenset[Purpose] = frozenset()

PUBLISH_PAUSE_S = 0.5
SWEPT_PER_OBSERVATION = 2

log = structlog.get_logger()
Table = MutableMapping[bytes, bytes]
_nodes = msgspec.msgpack.Decoder(Node)
_encode = msgspec.msgpack.Encoder().encode


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    from watchword.fraud.stream import JudgeStream  # the stream library costs a second: only its user pays

    rules = Rulesets(context.configuration, FraudSettings.load().rules())
    judge = Judge(rules.live(), context.publisher, context.clock, JudgeMetrics(context.metrics))

    async def renew() -> None:
        judge.use(rules.live())

    return [Turning("judge.rules", renew, pause_s=RULES_EVERY_S), JudgeStream(judge, context)]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the signals topic as it came. `topic` is the plain name, without prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Judge:
    """Deals with one record at a time; never raises for what is in it."""

    def __init__(self, rules: Rules, publisher: Publisher, clock: Clock, metrics: JudgeMetrics) -> None:
        self._rules = rules
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._sweep = Sweep(rules)

    async def take(self, record: Record, table: Table) -> None:
        """Weigh one record's observations, tell what changed, then keep it. Waits for as long as Kafka is away."""
        started = time.perf_counter()
        try:
            event = _read(record)
            weighed = self._weigh(event, table)
            now = self._clock.now()
            told = [_outgoing(each, now) for each in weighed.told.values()]
        except (UnreadableEvent, ValueError) as error:
            await self._bury(record, "unreadable", str(error))
            return
        except Exception as error:
            log.exception("judge.weighing_failed", offset=record.offset)
            await self._bury(record, "bug", type(error).__name__)
            return
        reach("judge.weighed")
        await self._publish(told)
        reach("judge.told")
        self._keep(weighed, table)
        await self._forget(event, table)
        self._metrics.nodes_size.set(len(table))
        self._metrics.weighing_seconds.observe(time.perf_counter() - started)

    def use(self, rules: Rules) -> None:
        """Judge by these rules from the next event on; room for features is as it was at the start."""
        self._rules = rules

    def restored(self) -> None:
        """The table was filled or exchanged behind our back: look through it again for what can be forgotten."""
        self._sweep.start_over()

    def _weigh(self, event: SignalObserved, table: Table) -> "Weighed":
        """Every feature of the event, after what was seen of it."""
        nodes = TableNodes(table)
        told: dict[str, RiskLevelSet] = {}
        for seen in event.observations:
            kind = kind_of(seen.feature)
            if kind is None or seen.kind is SignalKind.UNKNOWN or self._is_full(kind, seen.feature, table):
                self._metrics.signals.add(outcome="passed_over")
                continue
            news = weigh(kind, seen.feature, seen_of(seen), nodes, self._rules)
            self._metrics.signals.add(outcome="repeated" if news is None else "applied")
            told.update({each.feature: each for each in news or ()})
        return Weighed(nodes, told)

    def _is_full(self, kind: Kind, feature: str, table: Table) -> bool:
        """Leading digits and tenants are few and always find room; who asks comes in any number."""
        return kind in SOURCES and len(table) >= self._rules.nodes_max and feature.encode() not in table

    def _keep(self, weighed: "Weighed", table: Table) -> None:
        for key, encoded in weighed.nodes.changed():
            table[key] = encoded
        for each in weighed.told.values():
            self._metrics.tell(each)
            log.info("judge.level_set", kind=each.feature.partition(":")[0], risk=each.level.value)

    async def _forget(self, event: SignalObserved, table: Table) -> None:
        """Drop a few features of the event's shard of which nothing is left, and their levels with them."""
        now_s = max((seen.at.timestamp() for seen in event.observations), default=0.0)
        features = {seen.feature for seen in event.observations}
        faded = self._sweep.faded(event.shard, features, table, now_s)
        await self._publish([Outgoing(topics.RISK_LEVELS, feature.encode(), None, ()) for feature in faded.told])
        for feature in faded.all:
            del table[feature.encode()]

    async def _bury(self, record: Record, reason: str, detail: str) -> None:
        """The record's bytes to the dead topic. Until that is done nothing behind it is taken."""
        position = (record.partition, record.offset)
        letter = outbox.dead_row(record.topic, position, record.key, record.value, record.headers, (reason, detail))
        log.warning("judge.buried", reason=reason, offset=record.offset)
        await self._publish([letter.outgoing()])
        self._metrics.dead_letters.add(reason=reason)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        while records:
            try:
                await self._publisher.publish(records)
                return
            except PublishUnknown as error:
                log.warning("judge.publish_unknown", error=str(error))
                await asyncio.sleep(PUBLISH_PAUSE_S)


class TableNodes:
    """The nodes of one event, read from the table when they are asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._read: dict[str, Node] = {}

    def node(self, feature: str) -> Node:
        """The node of a feature, a new one where the table has none."""
        found = self._read.get(feature)
        if found is None:
            known = self._table.get(feature.encode())
            found = self._read[feature] = _nodes.decode(known) if known else Node()
        return found

    def changed(self) -> list[tuple[bytes, bytes]]:
        """Keys and values that the table does not hold so yet."""
        encoded = ((feature.encode(), _encode(node)) for feature, node in self._read.items())
        return [(key, value) for key, value in encoded if self._table.get(key) != value]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one event comes to: nodes as they are now, and the newest level of each feature that changed."""

    nodes: TableNodes
    told: dict[str, RiskLevelSet]


@dataclass(frozen=True, slots=True)
class Faded:
    """Features that may be dropped, and those among them whose level was told."""

    all: tuple[str, ...]
    told: tuple[str, ...]


class Sweep:
    """Looks through the table a little with every event, so that its size follows what is alive."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queues: dict[int, OrderedDict[str, None]] = {}

    def start_over(self) -> None:
        """Forget what was queued; it is gathered anew from the table."""
        self._queues.clear()

    def faded(self, shard: int, seen: Iterable[str], table: Table, now_s: float) -> Faded:
        """What of `shard` can be dropped: a few of its features are looked at, the longest unseen first."""
        if not self._queues:
            self._gather(table)
        queue = self._queues.setdefault(shard, OrderedDict())
        turns = 0
        for feature in seen:
            queue[feature] = None
            queue.move_to_end(feature)
            turns += SWEPT_PER_OBSERVATION
        found: list[tuple[str, Node]] = []
        for _ in range(min(turns, len(queue))):
            feature, _nothing = queue.popitem(last=False)
            known = table.get(feature.encode())
            if known is None:
                continue
            node = _nodes.decode(known)
            if self._forgettable(feature, node, table, now_s):
                found.append((feature, node))
            else:
                queue[feature] = None
        told = tuple(name for name, node in found if node.until_s or node.proven_s)
        return Faded(tuple(name for name, _ in found), told)

    def _forgettable(self, feature: str, node: Node, table: Table, now_s: float) -> bool:
        kind = kind_of(feature)
        crowded = len(table) >= self._rules.nodes_max
        return kind is None or forgettable(kind, node, now_s, crowded=crowded)

    def _gather(self, table: Table) -> None:
        for key in table:
            feature = key.decode("utf-8", "replace")
            self._queues.setdefault(shard_of(feature), OrderedDict())[feature] = None


def _read(record: Record) -> SignalObserved:
    event = decode(envelopes.read(record.headers).type, record.value)
    if not isinstance(event, SignalObserved):
        raise UnreadableEvent(f"{type(event).NAME} has no place on this topic")
    return event


def _outgoing(told: RiskLevelSet, now: datetime) -> Outgoing:
    """The record of one level. Its id follows from the feature and the moment until which it holds."""
    ordinal = int(told.until.timestamp() * 1000)
    emit = Emit(told, told.feature, ordinal, counted=False)
    return outbox.row(emit, Origin("judge", now), sequence=0).outgoing()
