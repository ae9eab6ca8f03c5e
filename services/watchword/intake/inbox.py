"""The Kafka door: reads otp.inbox in batches and asks the same desk as the HTTP door (decision 0005).

Every record is answered in a committed transaction before its offset is committed; a record that is read again comes
to the same end under its (ce_source, ce_id), and changes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from watchword.events import topics
from watchword.intake.answers import Accepted, Refused
from watchword.intake.backlog import Backlog
from watchword.intake.desk import Desk, Faulty, Letters
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.request import Start
from watchword.intake.submitted import Submission, Submissions
from watchword.runtime import outbox, unfinished
from watchword.runtime.clock import Clock
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.configuration import ConfigurationWatch
from watchword.runtime.failpoints import reach
from watchword.runtime.health import Check
from watchword.runtime.kafka import Reader
from watchword.runtime.pace import Pace
from watchword.runtime.postgres import AWAY
from watchword.runtime.unfinished import Unfinished

log = structlog.get_logger()

GROUP = "intake"
RECORDS_MAX = 200
POLL_WAIT_MS = 200
EVERY_S = 0.02
PAUSE_S = 0.5
_COMES_AGAIN = frozenset({"conflict", "idempotency_in_progress"})  # nothing was decided


class Inbox:
    """Reads the inbox for as long as its process lives."""

    def __init__(
        self,
        desk: Desk,
        submissions: Submissions,
        *,
        reader: Callable[..., Reader],
        backlog: Backlog,
        configuration: ConfigurationWatch,
        clock: Clock,
        check: Check,
        metrics: IntakeMetrics,
    ) -> None:
        self._desk = desk
        self._submissions = submissions
        self._reader = reader((topics.INBOX,), group=GROUP, on_revoked=self._drained)
        self._backlog = backlog
        self._configuration = configuration
        self._clock = clock
        self._check = check
        self._metrics = metrics
        self._turning = asyncio.Lock()
        self._pace = Pace(EVERY_S)
        self._stopping = False
        self._held: dict[TopicPartition, float] = {}
        self._in_hand: Sequence[Any] = ()
        self._waiting: dict[TopicPartition, Unfinished] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the group and begin. Raises KafkaError when no broker answers."""
        unfinished.show(self._metrics.runtime, GROUP, now=self._clock.now, in_hand=self._left)
        await self._reader.start()
        self._task = asyncio.create_task(self._run(), name="inbox")

    async def stop(self) -> None:
        """Finish the batch in hand, commit it, leave the group."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task})  # what ended it is told as `failed`
        await self._reader.stop()

    @property
    def failed(self) -> BaseException | None:
        """The error that ended the reading, if one did: a bug, which only a restart can mend."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def _drained(self) -> None:
        async with self._turning:
            return

    async def _run(self) -> None:
        while not self._stopping:
            self._release_due()
            try:
                records = await self._reader.poll(records_max=RECORDS_MAX, wait_ms=POLL_WAIT_MS, pace=self._pace)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("intake.poll_failed", error=repr(error))
                self._check.failing("kafka does not answer")
                await asyncio.sleep(PAUSE_S)
                continue
            epoch = self._reader.epoch  # of the assignment these records were read under
            async with self._turning:
                if epoch != self._reader.epoch:
                    continue
                self._in_hand = records
                await self._turn(records)
                self._pace.end()
                self._in_hand = ()

    def _left(self) -> list[Unfinished]:
        self._metrics.runtime.inflight.set(len(self._in_hand), stage=GROUP)
        return [*unfinished.oldest(self._in_hand), *self._waiting.values()]

    async def _turn(self, records: Sequence[Any]) -> None:
        if not records:
            if not self._held:
                self._check.ok()
            return
        epoch = self._reader.epoch
        submissions = [_submission(record, self._reader.plain(record.topic)) for record in records]
        if self._backlog.is_late or not await self._conclude(submissions):
            self._check.failing("requests cannot be carried out")
            self._hold_from(records)
            return
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        if await self._reader.commit(offsets, epoch=epoch):
            reach("intake.offsets_committed")
        self._check.ok()

    async def _conclude(self, submissions: Sequence[Submission]) -> bool:
        """Every record answered and committed; False if some must come again, the rest of them in vain."""
        configuration, now = self._configuration.current(), self._clock.now()
        read = [self._submissions.read(each, configuration, now) for each in submissions]
        asked = [self._ask(each, item) for each, item in zip(submissions, read, strict=True)]
        return all(await asyncio.gather(*asked))

    async def _ask(self, submission: Submission, item: Start | Letters) -> bool:
        try:
            if isinstance(item, Letters):
                await self._desk.bury(item)
                for reason in outbox.reasons(item.rows):
                    self._metrics.runtime.buried.add(stage=GROUP, reason=reason)
                self._metrics.inbox.add(outcome="unfit")
                return True
            return self._counted(await self._desk.ask(item))
        except Faulty:
            log.exception("intake.submission_failed", position=submission.position)
            return await self._ask(submission, self._submissions.buried(submission, self._clock.now()))
        except (Overloaded, *AWAY) as error:
            log.warning("intake.submission_waits", error=repr(error))
            return False

    def _counted(self, reply: Accepted | Refused) -> bool:
        if isinstance(reply, Accepted):
            self._metrics.inbox.add(outcome="replayed" if reply.replayed else "accepted")
            return True
        self._metrics.inbox.add(outcome=reply.code)
        return reply.code not in _COMES_AGAIN

    def _hold_from(self, records: Sequence[Any]) -> None:
        first: dict[TopicPartition, Any] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record)
        for partition, record in first.items():
            self._reader.hold(partition, record.offset)
            self._held[partition] = time.monotonic() + PAUSE_S
            self._waiting[partition] = unfinished.of_record(record)

    def _release_due(self) -> None:
        for partition in [each for each, until in self._held.items() if until <= time.monotonic()]:
            del self._held[partition], self._waiting[partition]
            self._reader.release(partition)


def _submission(record: Any, topic: str) -> Submission:
    headers = tuple((name, value) for name, value in record.headers if value is not None)
    return Submission(topic, record.partition, record.offset, record.key, record.value, headers)
