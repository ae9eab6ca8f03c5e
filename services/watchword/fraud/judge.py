"""The judge: takes signals in, keeps a node per feature, tells levels. The stream library is in `stream.py` alone.

A batch of records is weighed as one and each touched node is written once (decision 0023). Levels are published and
acknowledged before the table changes, and the table before the records count as read, so that a crash between two of
these tells the same again instead of never.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.signal_observed import SignalObserved
from watchword.fraud.decide.observe import seen_of
from watchword.fraud.decide.room import counted_under
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.weigh import weigh
from watchword.fraud.metrics import JudgeMetrics
from watchword.fraud.rulesets import RULES_EVERY_S, Rulesets
from watchword.fraud.settings import FraudSettings
from watchword.fraud.sweep import Sweep
from watchword.fraud.table import Kept, Table, TableNodes
from watchword.kernel.event import Emit
from watchword.kernel.feature import kind_of
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

log = structlog.get_logger()


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


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a batch comes to: nodes as they are now, the newest level of each feature that changed, the moment of the
    newest observation, and how many observations were applied, repeated or passed over."""

    nodes: TableNodes
    told: dict[str, RiskLevelSet]
    now_s: float
    outcomes: Counter[str]


class Judge:
    """Deals with one batch of records at a time; never raises for what is in them."""

    def __init__(self, rules: Rules, publisher: Publisher, clock: Clock, metrics: JudgeMetrics) -> None:
        self._rules = rules
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._sweep = Sweep(rules)

    async def take(self, records: Sequence[Record], table: Table) -> None:
        """Weigh the records' observations, tell what changed, then keep it. Waits for as long as Kafka is away."""
        started = time.perf_counter()
        events = [(each, event) for each in records if (event := await self._read(each)) is not None]
        try:
            weighed = weigh_batch(events, table, self._rules)
            origin = Origin("judge", self._clock.now())
            told = [_outgoing(each, origin) for each in weighed.told.values()]
        except Exception as error:
            if len(events) > 1:
                for record, _ in events:
                    await self.take([record], table)
                return
            record = events[0][0]
            log.exception("judge.weighing_failed", offset=record.offset)
            await self._bury(record, "bug", type(error).__name__)
            return
        reach("judge.weighed")
        await self._publish(told)
        reach("judge.told")
        await self._keep(weighed, table)
        for outcome, count in weighed.outcomes.items():
            self._metrics.signals.add(count, outcome=outcome)
        self._metrics.nodes_size.set(len(table))
        self._metrics.weighing_seconds.observe(time.perf_counter() - started)

    def use(self, rules: Rules) -> None:
        """Judge by these rules from the next event on; room for features is as it was at the start."""
        self._rules = rules

    def restored(self) -> None:
        """The table was filled or exchanged behind our back: look through it again for what can be forgotten."""
        self._sweep.start_over()

    async def _read(self, record: Record) -> SignalObserved | None:
        """The event of a record; None for one that cannot be read, which is buried."""
        try:
            return _read(record)
        except (UnreadableEvent, ValueError) as error:
            await self._bury(record, "unreadable", str(error))
            return None

    async def _keep(self, weighed: Weighed, table: Table) -> None:
        """Write what changed; then drop a few features of which nothing is left, and their levels with them."""
        await self._until_known(partial(table.write, weighed.nodes.changed()))
        reach("judge.kept")
        self._metrics.tell(weighed.told.values())
        self._log_blocks(weighed)
        faded = self._sweep.faded(weighed.nodes.touched(), table, weighed.now_s)
        await self._publish([Outgoing(topics.RISK_LEVELS, key, None, ()) for key in faded.told])
        await self._until_known(partial(table.write, weighed.nodes.without(faded.all)))
        reach("judge.dropped")

    def _log_blocks(self, weighed: Weighed) -> None:
        """A line for every block that begins, goes on or ends. What else is told, several words of an honest user who
        comes where nobody came before, decides nothing by itself: the metric counts it."""
        for each in weighed.told.values():
            if each.level is RiskLevel.BLOCKED or weighed.nodes.before(each.feature) is RiskLevel.BLOCKED:
                log.info("judge.level_set", kind=each.feature.partition(":")[0], risk=each.level.value)

    async def _bury(self, record: Record, reason: str, detail: str) -> None:
        """The record's bytes to the dead topic. Until that is done nothing behind it is taken."""
        position = (record.partition, record.offset)
        letter = outbox.dead_row(record.topic, position, record.key, record.value, record.headers, (reason, detail))
        log.warning("judge.buried", reason=reason, offset=record.offset)
        await self._publish([letter.outgoing()])
        self._metrics.dead_letters.add(reason=reason)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        if records:
            await self._until_known(partial(self._publisher.publish, records))

    async def _until_known(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat a write until Kafka acknowledges it: all of them say the same when they are said twice."""
        while True:
            try:
                await write()
                return
            except PublishUnknown as error:
                log.warning("judge.publish_unknown", error=str(error))
                await asyncio.sleep(PUBLISH_PAUSE_S)


def weigh_batch(events: Iterable[tuple[Record, SignalObserved]], table: Kept, rules: Rules) -> Weighed:
    """Every feature of the events, after what was seen of it. Pure: the table stays as it is."""
    nodes, now_s = TableNodes(table), 0.0
    told: dict[str, RiskLevelSet] = {}
    outcomes: Counter[str] = Counter()
    for record, event in events:
        nodes.enter(event.shard, record.partition)
        for seen in event.observations:
            kind = kind_of(seen.feature)
            feature = counted_under(kind, seen, nodes, rules.nodes_max)
            if kind is None or feature is None:
                outcomes["passed_over"] += 1
                continue
            told_of = seen_of(seen)
            now_s = max(now_s, told_of.at_s)
            news = weigh(kind, feature, told_of, nodes, rules)
            outcomes["repeated" if news is None else "applied"] += 1
            for each in news or ():
                told[each.feature] = each
    return Weighed(nodes, told, now_s, outcomes)


def _read(record: Record) -> SignalObserved:
    event = decode(envelopes.read(record.headers).type, record.value)
    if not isinstance(event, SignalObserved):
        raise UnreadableEvent(f"{type(event).NAME} has no place on this topic")
    return event


def _outgoing(told: RiskLevelSet, origin: Origin) -> Outgoing:
    """The record of one level. Its id follows from the feature and the moment until which it holds."""
    ordinal = int(told.until.timestamp() * 1000)
    emit = Emit(told, told.feature, ordinal, counted=False)
    return outbox.row(emit, origin, sequence=0).outgoing()
