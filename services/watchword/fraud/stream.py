"""The judge's stream: Faust, and nothing but Faust. What it carries is decided and told in `judge.py`.

Faust runs inside the process's own event loop, with the process's own logging and signals. It is held to what it
does well: one agent, one keyed table restored from a changelog, at least once. It creates no topics; the changelog is
made here beforehand, with as many partitions and copies as the signals have. What the table holds is written by us, a
batch at a time: Faust's own way sends and tracks every key by itself, at a tenth of a millisecond each.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import faust
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from faust.stores.memory import Store
from faust.transport.drivers.aiokafka import Consumer
from faust.types.enums import ProcessingGuarantee

from watchword.contracts.topics import COMPACTED
from watchword.events import topics
from watchword.fraud.judge import Judge, Record
from watchword.fraud.standstill import Standstill
from watchword.runtime import unfinished
from watchword.runtime.health import Check
from watchword.runtime.kafka import Cluster
from watchword.runtime.process import Context
from watchword.runtime.stop import Turning

START_WITHIN_S = 90.0
STOP_WITHIN_S = 15.0
ADMIN_WITHIN_S = 20.0
VISIBLE_PAUSE_S = 0.05
WATCH_PAUSE_S = 1.0
STANDSTILL_PAUSE_S = 4.0
FRESH_S = 30.0
SESSION_TIMEOUT_S = 10.0
HEARTBEAT_S = 3.0
COMMIT_S = 0.5
GATHER_S = 0.25
EVENTS_MAX = 400
CHANGELOG_KEPT = timedelta(days=1)
TABLE = "nodes"
STAGE = "judge"


class JudgeStream:
    """The judge as a service: started, its table is restored and it follows the signals."""

    def __init__(self, judge: Judge, context: Context) -> None:
        self._judge = judge
        self._cluster = context.cluster
        self._publisher = context.publisher
        self._member = f"{context.worker}-{context.settings.ordinal}"
        self._check: Check = context.health.check("judge.stream", ready_within_s=FRESH_S)
        self._metrics = context.runtime_metrics
        self._in_hand: tuple[unfinished.Unfinished, ...] = ()
        unfinished.show(self._metrics, STAGE, now=context.clock.now, in_hand=lambda: self._in_hand)
        self._watch = Turning("judge-watch", self._look, pause_s=WATCH_PAUSE_S)
        self._ours: frozenset[int] = frozenset()
        source = context.cluster.topic_prefix + topics.SIGNALS
        self._standstill = Standstill(context.cluster, group=self._group, topic=source, ours=self._followed)
        self._progress = Turning("judge-progress", self._standstill.turn, pause_s=STANDSTILL_PAUSE_S)
        self._directory: TemporaryDirectory[str] | None = None
        self._app: Any = None

    async def start(self) -> None:
        """Join, restore the table, begin. Raises TimeoutError or KafkaError where no broker answers."""
        async with asyncio.timeout(ADMIN_WITHIN_S):
            partitions = await _ensure_changelog(self._cluster, self._group)
        self._directory = TemporaryDirectory(prefix="watchword-judge-")
        self._app = self._build(partitions, self._directory.name)
        async with asyncio.timeout(START_WITHIN_S):
            await self._app.start()
        await self._watch.start()
        await self._progress.start()

    async def stop(self) -> None:
        """Finish the event in hand, flush the changelog, commit, end. The static membership stays for a restart."""
        await self._progress.stop()
        await self._standstill.stop()
        await self._watch.stop()
        if self._app is not None:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._app.stop()
        if self._directory is not None:
            self._directory.cleanup()

    @property
    def failed(self) -> BaseException | None:
        """What the stream died of, if it did: only a restart can mend it."""
        reason: BaseException | None = None if self._app is None else self._app.crash_reason
        return reason or self._standstill.found

    @property
    def _group(self) -> str:
        return f"{self._cluster.group_prefix}judge"

    def _followed(self) -> frozenset[int]:
        """The partitions that ought to move: none while partitions change hands or the table is being restored."""
        return frozenset() if self._app.rebalancing or self._app.in_recovery else self._ours

    async def _look(self) -> None:
        if self._app.rebalancing:
            self._check.failing("partitions are moving")
        elif self._app.crashed:
            self._check.failing("the stream died")
        else:
            self._check.ok()

    def _build(self, partitions: int, directory: str) -> Any:
        app = faust.App(self._group, **_options(self._cluster, f"{self._group}-{self._member}", directory))
        app.transport.Consumer = SureFooted
        prefix, judge = self._cluster.topic_prefix, self._judge
        # Raw: Faust itself would fail on what is not JSON, beyond the reach of any dead topic.
        raw = {"key_serializer": "raw", "value_serializer": "raw", "allow_empty": True}
        source = app.topic(prefix + topics.SIGNALS, key_type=bytes, value_type=bytes, partitions=partitions, **raw)

        async def restored(*_: object) -> None:
            judge.restored()

        table = app.Table(TABLE, partitions=partitions, key_type=bytes, value_type=bytes, on_recover=restored)
        kept = ChangelogTable(table.data, self._publisher, f"{self._group}-{TABLE}-changelog")

        @app.agent(source, name="judge", concurrency=1)  # type: ignore[untyped-decorator]  # Faust is not typed for us
        async def judging(stream: Any) -> None:
            async for events in stream.take_events(EVENTS_MAX, within=GATHER_S):
                # Faust's own time of a message, in seconds; signals have no deadline
                self._in_hand = tuple(unfinished.Unfinished(each.message.timestamp) for each in events)
                await judge.take([_record(each.message, prefix) for each in events], kept)
                self._in_hand = ()
                self._metrics.events.add(len(events), stage=STAGE, outcome="done")

        app.on_partitions_assigned.connect(self._assigned)
        return app

    async def _assigned(self, _app: Any, assigned: Iterable[Any] = (), **_: Any) -> None:
        """Count it. What is assigned holds the table's changelog too, which is no work."""
        self._metrics.rebalances.add(stage=STAGE)
        source = self._cluster.topic_prefix + topics.SIGNALS
        self._ours = frozenset(each.partition for each in assigned if each.topic == source)
        self._metrics.assigned.set(len(self._ours), stage=STAGE)


class SureFooted(Consumer):  # type: ignore[misc]  # Faust is not typed for us
    """Faust's consumer, without three ways in which a partition stood still after its table had been restored.

    Faust reads a stream again a moment before it sets it to what was committed. What was read in between comes twice
    and stands twice among what may be committed, and Faust commits up to the first repetition: one record a turn, a
    minute for a hundred. If it was committed in between, Faust goes back to the older position, and waits for ever for
    the records that lie between the two. And where nothing was committed yet it sets no position at all, so that what
    it had read and put aside while partitions moved never came again.
    """

    async def perform_seek(self) -> None:
        """Go to what was committed, or to the beginning."""
        await super().perform_seek()
        for each in self.assignment():
            if self._committed_offset[each] is None and not self._is_changelog_tp(each):
                await self.seek(each, 0)

    async def seek_to_committed(self) -> Mapping[Any, int | None]:
        """Go to what the broker knows; answers what is committed by now, which may be later."""
        known = await super().seek_to_committed()
        return {each: max(known[each] or 0, self._committed_offset[each] or 0) or known[each] for each in known}

    def _new_offset(self, tp: Any) -> int | None:
        """What may be committed of a partition, each record counted once."""
        acked = self._acked[tp]
        if len(acked) > len(once := set(acked)):
            acked[:] = sorted(once)
        told: int | None = super()._new_offset(tp)
        return told


class Appender(Protocol):
    """Whatever writes a changelog."""

    async def append(self, topic: str, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Write all changes, by partition. Raises PublishUnknown."""
        ...


class ChangelogTable:
    """What a Faust table holds in memory, and its changelog as we write it: acknowledged before that changes.

    Faust drops what belongs to partitions that went to another judge, by what it remembers of each key it restored. It
    is told of ours as well, or they would stay until a restart.
    """

    def __init__(self, store: Store, publisher: Appender, changelog: str) -> None:
        self._held: MutableMapping[bytes, bytes] = store.data
        self._partitions: MutableMapping[bytes, int] = store._key_partition  # there is no other way in
        self._publisher = publisher
        self._changelog = changelog

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None where there is none."""
        return self._held.get(key)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    async def write(self, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> None:
        """Keep all changes, by partition; None drops a key. Raises PublishUnknown, and then has changed nothing here
        but perhaps some of it in the changelog."""
        await self._publisher.append(self._changelog, changes)
        for partition, entries in changes.items():
            for key, value in entries.items():
                if value is None:
                    self._held.pop(key, None)
                    self._partitions.pop(key, None)
                else:
                    self._held[key] = value
                    self._partitions[key] = partition


def _options(cluster: Cluster, instance: str, directory: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "broker": [f"kafka://{host.strip()}" for host in cluster.bootstrap.split(",")],
        "autodiscover": False,
        "store": "memory://",
        "datadir": directory,
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "processing_guarantee": ProcessingGuarantee.AT_LEAST_ONCE,
        "consumer_group_instance_id": instance,
        "table_standby_replicas": 0,
        "stream_wait_empty": False,
        "broker_session_timeout": SESSION_TIMEOUT_S,
        "broker_heartbeat_interval": HEARTBEAT_S,
        "broker_commit_interval": COMMIT_S,
    }
    credentials = _credentials(cluster.options())
    return options | ({"broker_credentials": credentials} if credentials is not None else {})


def _credentials(options: Mapping[str, Any]) -> Any:
    """What aiokafka takes as options, as Faust takes it; None where the broker asks for nothing."""
    context = options.get("ssl_context")
    if options["security_protocol"].startswith("SASL"):
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


def _record(message: Any, prefix: str) -> Record:
    told = message.headers or ()
    pairs = told.items() if isinstance(told, Mapping) else told
    headers = tuple((name, value) for name, value in pairs if value is not None)
    topic = message.topic.removeprefix(prefix)
    return Record(topic, message.partition, message.offset, message.key, message.value, headers)


async def _ensure_changelog(cluster: Cluster, group: str) -> int:
    """Make the table's changelog like the signals topic where it is missing; answers how many partitions they have.

    Raises KafkaError, also where the signals topic is missing or the changelog has another number of partitions.
    """
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        source, changelog = cluster.topic_prefix + topics.SIGNALS, f"{group}-{TABLE}-changelog"
        partitions, replicas = await _shape(admin, source)
        kept_ms = int(CHANGELOG_KEPT.total_seconds() * 1000)
        configs = {"cleanup.policy": "compact", "delete.retention.ms": str(kept_ms), **COMPACTED}
        await _create(admin, NewTopic(changelog, partitions, replicas, topic_configs=configs))
        found, _ = await _shape(admin, changelog)
        if found != partitions:
            raise ValueError(f"{changelog} has {found} partitions, {source} has {partitions}: delete the changelog")
        return partitions
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    """Create a topic where it is missing, and wait until the broker knows it."""
    made = await admin.create_topics([topic])
    for _, code, *_rest in made.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(topic.name)
    while True:
        [told] = await admin.describe_topics([topic.name])
        if told["error_code"] != UnknownTopicOrPartitionError.errno:
            return
        await asyncio.sleep(VISIBLE_PAUSE_S)


async def _shape(admin: AIOKafkaAdminClient, topic: str) -> tuple[int, int]:
    """Partitions and copies of a topic."""
    [told] = await admin.describe_topics([topic])
    if told["error_code"]:
        raise for_code(told["error_code"])(topic)
    return len(told["partitions"]), len(told["partitions"][0]["replicas"])
