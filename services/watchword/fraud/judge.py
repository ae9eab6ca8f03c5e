"""The judge: takes signals in, keeps a node per feature, tells levels. The stream library is in `stream.py` alone.

For each event: levels are published and acknowledged before the table changes, so that a crash between the two tells
the same level again instead of never.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.signal_observed import Observation, SignalObserved
from watchword.fraud.decide import levels
from watchword.fraud.decide.levels import Node, Weighed
from watchword.fraud.decide.rules import Rules
from watchword.fraud.metrics import JudgeMetrics
from watchword.fraud.settings import FraudSettings
from watchword.kernel.event import Emit
from watchword.kernel.feature import Kind, kind_of, shard_of
from watchword.runtime import outbox
from watchword.runtime.clock import Clock
from watchword.runtime.failpoints import reach
from watchword.runtime.keyring import Purpose
from watchword.runtime.outbox import Origin
from watchword.runtime.process import Context
from watchword.runtime.publishing import Outgoing, Publisher, PublishUnknown
from watchword.runtime.stop import Service

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

    rules = FraudSettings.load().rules()
    judge = Judge(rules, context.publisher, context.clock, JudgeMetrics(context.metrics))
    return [JudgeStream(judge, context)]


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
            told = [_outgoing(each.told, now) for each in weighed.values() if each.told is not None]
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

    def restored(self) -> None:
        """The table was filled or exchanged behind our back: look through it again for what can be forgotten."""
        self._sweep.start_over()

    def _weigh(self, event: SignalObserved, table: Table) -> dict[str, Weighed]:
        """Every feature of the event, after what was seen of it."""
        by_feature: dict[str, list[Observation]] = defaultdict(list)
        for seen in event.observations:
            by_feature[seen.feature].append(seen)
        weighed = {}
        for feature, observations in by_feature.items():
            kind, known = kind_of(feature), table.get(feature.encode())
            if kind is None or (known is None and self._is_full(kind, table)):
                self._metrics.signals.add(len(observations), outcome="passed_over")
                continue
            node = _nodes.decode(known) if known else Node()
            weighed[feature] = levels.weigh(feature, kind, node, observations, self._rules)
            self._metrics.signals.add(len(observations) - weighed[feature].repeated, outcome="applied")
            self._metrics.signals.add(weighed[feature].repeated, outcome="repeated")
        return weighed

    def _is_full(self, kind: Kind, table: Table) -> bool:
        """Ranges and countries are few and always find room; networks and devices come in any number."""
        return kind in (Kind.IP_NET, Kind.DEVICE) and len(table) >= self._rules.nodes_max

    def _keep(self, weighed: dict[str, Weighed], table: Table) -> None:
        for feature, each in weighed.items():
            encoded = _encode(each.node)
            if table.get(feature.encode()) != encoded:
                table[feature.encode()] = encoded
            if each.told is not None:
                self._metrics.tell(each.told)
                log.info("judge.level_set", kind=feature.partition(":")[0], risk=each.told.level.value)

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
        return Faded(tuple(name for name, _ in found), tuple(name for name, node in found if node.until_s))

    def _forgettable(self, feature: str, node: Node, table: Table, now_s: float) -> bool:
        kind = kind_of(feature)
        crowded = len(table) >= self._rules.nodes_max
        return kind is None or levels.forgettable(kind, node, now_s, self._rules, crowded=crowded)

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
