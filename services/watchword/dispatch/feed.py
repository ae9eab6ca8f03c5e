"""Records in, offsets out: several of a partition in flight, the lowest unfinished one decides what is committed."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from watchword.dispatch.decide.postpone import held_s, onward
from watchword.dispatch.inflight import Watermark
from watchword.dispatch.ledger import Ledger
from watchword.dispatch.sending import Sender, Work
from watchword.dispatch.settings import DispatchSettings
from watchword.dispatch.store import Store
from watchword.dispatch.taking import Taken, send_of, taken, was_tried
from watchword.events.envelope import Envelope
from watchword.events.send_requested import SendRequested
from watchword.events.topics import DISPATCH, RETRY_TIERS_S
from watchword.runtime import acting, outbox, unfinished
from watchword.runtime.acting import Told
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.failpoints import reach
from watchword.runtime.health import Check
from watchword.runtime.in_a_row import BUGS_IN_A_ROW_MAX
from watchword.runtime.kafka import Reader
from watchword.runtime.metrics import RuntimeMetrics
from watchword.runtime.pace import Pace
from watchword.runtime.postgres import AWAY, is_away
from watchword.runtime.unfinished import Unfinished

log = structlog.get_logger()

READS: Final = (DISPATCH, *(topic for _, topic in RETRY_TIERS_S))
POLL_WAIT_S: Final = 0.2
FETCH_WAIT_MS: Final = 100  # a partition held for a retry goes on this close to its time
HELD_EVERY_S: Final = 0.2  # records that are due this close to each other are gone on with together
POLL_RECORDS_MAX: Final = 300
COMMIT_EVERY_S: Final = 0.5
AWAY_PAUSE_S: Final = 0.5
EVERY_S: Final = 0.02
FULL_PAUSE_S: Final = 0.1
DRAIN_S: Final = 12.0
STOP_POLLING_S: Final = 3.0
_TIERS_S = {topic: delay_s for delay_s, topic in RETRY_TIERS_S}


@dataclass(frozen=True, slots=True)
class Wait:
    """Its topic still holds a record, for so many `seconds`."""

    seconds: float


Errand = Work | Told | Wait | None
"""What a record asks for: to be sent, to be told to the next retry topic, to wait, or nothing that dispatch can do."""


class Feed:
    """Reads otp.dispatch and its retry topics, hands what is due to the sender, commits what is finished."""

    def __init__(
        self,
        reader: Callable[..., Reader],
        store: Store,
        ledger: Ledger,
        sender: Sender,
        clock: DatabaseClock,
        settings: DispatchSettings,
        metrics: RuntimeMetrics,
        turning: Check,
    ) -> None:
        self._reader = reader(READS, group="dispatch", on_revoked=self._drained, fetch_wait_ms=FETCH_WAIT_MS)
        self._store = store
        self._ledger = ledger
        self._sender = sender
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._check = turning
        self._taking = asyncio.Lock()
        self._pace = Pace(EVERY_S)
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._marks: dict[TopicPartition, Watermark] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committed_at_s = 0.0
        self._held: dict[TopicPartition, float] = {}
        self._waiting: dict[TopicPartition, Unfinished] = {}
        self._first_read_s: dict[tuple[TopicPartition, int], float] = {}
        self._database_away = False
        self._inflight: dict[asyncio.Task[None], Unfinished] = {}
        self._epoch = -1
        self._bugs_in_a_row = 0

    async def start(self) -> None:
        """Join the group and begin. Raises when broker or database cannot be reached."""
        await self._clock.refresh()
        unfinished.show(self._metrics, "dispatch", now=self._clock.now, in_hand=self._left)
        await self._reader.start()
        self._task = asyncio.create_task(self._run(), name="dispatch-feed")

    async def stop(self) -> None:
        """Take nothing more, finish what is in flight, commit, leave the group."""
        self._stopping = True
        if self._task is not None:
            _, polling = await asyncio.wait({self._task}, timeout=STOP_POLLING_S)
            if polling:  # a consumer that has lost its group waits for it without end
                self._task.cancel()
                await asyncio.wait(polling)
        await self._drained()
        if left := set(self._inflight):
            for task in left:
                task.cancel()
            await asyncio.wait(left)
        await self._reader.stop()

    @property
    def failed(self) -> BaseException | None:
        """The error that ended it, if one did: a bug, which only a restart can mend."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def _left(self) -> list[Unfinished]:
        """What is in flight or held: what to say of how late dispatch is."""
        self._metrics.inflight.set(len(self._inflight), stage="dispatch")
        return [*self._inflight.values(), *self._waiting.values()]

    async def _drained(self) -> None:
        """The partitions leave: nothing new, finish what was claimed, commit; what was not claimed is given back."""
        self._sender.rest()
        try:
            async with self._taking:
                if self._inflight:
                    await asyncio.wait(set(self._inflight), timeout=DRAIN_S)
                await self._commit()
        finally:
            if not self._stopping:
                self._sender.resume()

    async def _run(self) -> None:
        while not self._stopping:
            self._release_due()
            await self._turn()
            if self._bugs_in_a_row > BUGS_IN_A_ROW_MAX:
                raise RuntimeError("too many requests in a row could not be carried out")
            if time.monotonic() - self._committed_at_s >= COMMIT_EVERY_S:
                async with self._taking:
                    await self._commit()

    async def _turn(self) -> None:
        room = self._settings.inflight_max - len(self._inflight)
        if room <= 0:
            await asyncio.wait(set(self._inflight), timeout=POLL_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            return
        try:
            records = await self._reader.poll(
                records_max=min(room, POLL_RECORDS_MAX), wait_ms=self._wait_ms(), pace=self._pace
            )
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("dispatch.poll_failed", error=repr(error))
            self._check.failing("kafka does not answer")
            await asyncio.sleep(AWAY_PAUSE_S)
            return
        epoch = self._reader.epoch  # of the assignment these records were read under: nothing was awaited since
        async with self._taking:
            if records and epoch == self._reader.epoch:
                self._renew(epoch)
                await self._take(records)
                self._pace.end()
            elif not (self._held and self._database_away):
                self._check.ok()

    def _renew(self, epoch: int) -> None:
        """Records of a new assignment: what was taken under the last one is no longer ours to commit."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._marks.clear()
            self._committed.clear()
            self._held.clear()
            self._waiting.clear()
            self._first_read_s.clear()

    async def _take(self, records: Sequence[Any]) -> None:
        """Begin with every record that is due; a partition whose next one is not waits for it."""
        self._metrics.batch_size.observe(len(records), stage="dispatch")
        taken = [self._taken(record) for record in records]
        self._note_when_read(taken)
        try:
            await self._clock.refresh()
            now = self._clock.now()
            errands = await self._errands(taken, now)
        except AWAY as error:
            if not is_away(error):
                raise
            log.warning("dispatch.database_away", error=repr(error))
            self._database_away = True
            self._check.failing("the database does not answer")
            for each in taken:
                self._hold(each, AWAY_PAUSE_S)
            return
        self._database_away = False
        self._check.ok()
        for each, errand in zip(taken, errands, strict=True):
            if each.partition not in self._held:
                self._begin(each, errand, now)

    def _taken(self, record: Any) -> Taken:
        return taken(record, _TIERS_S.get(self._reader.plain(record.topic), 0))

    def _note_when_read(self, taken: Sequence[Taken]) -> None:
        """Since when this process knows records of retry topics, until it begins with them: the most that a topic may
        hold them is counted from then, on a clock that nobody sets."""
        read_s = time.monotonic()
        for each in taken:
            if each.tier_s:
                self._first_read_s.setdefault((each.partition, each.record.offset), read_s)

    def _begin(self, taken: Taken, errand: Errand, now: datetime) -> None:
        mark = self._marks.get(taken.partition)
        if mark is None:
            mark = self._marks[taken.partition] = Watermark()
        if isinstance(errand, Wait):
            self._hold(taken, errand.seconds)
            return
        if mark.spread >= self._settings.spread_max:
            self._hold(taken, FULL_PAUSE_S)
            return
        if taken.tier_s == 0:
            age_s = now.timestamp() - taken.record.timestamp / 1000
            self._metrics.age_seconds.observe(max(age_s, 0.0), stage="dispatch")
        mark.take(taken.record.offset)
        self._first_read_s.pop((taken.partition, taken.record.offset), None)
        task = asyncio.create_task(self._carry_out(taken, errand, mark), name="dispatch-send")
        self._inflight[task] = taken.unfinished
        task.add_done_callback(self._inflight.pop)

    def _delay_s(self, event: SendRequested, told: Envelope, taken: Taken, now: datetime) -> float:
        """How long its topic still holds a record, 0.0 or less where it does not."""
        if taken.tier_s == 0:
            return 0.0
        known_s = time.monotonic() - self._first_read_s[taken.partition, taken.record.offset]
        return held_s(event, told.time, taken.tier_s, now, known_s)

    async def _errands(self, taken: Sequence[Taken], now: datetime) -> list[Errand]:
        """What each record asks for by now, looked at once; what earlier tries came to is read for those that need it,
        in one query."""
        asked = [self._asked(each, now) for each in taken]
        again = {send_of(each) for each in asked if isinstance(each, SendRequested) and was_tried(each)}
        tries = await self._store.tries(sorted(again)) if again else {}
        return [
            Work(errand, each.cause, each.tier_s, tries.get(send_of(errand), ()))
            if isinstance(errand, SendRequested)
            else errand
            for each, errand in zip(taken, asked, strict=True)
        ]

    def _asked(self, taken: Taken, now: datetime) -> SendRequested | Told | Wait | None:
        event, told = taken.event, taken.envelope
        if event is None or told is None:
            return None
        if (delay_s := self._delay_s(event, told, taken, now)) > 0:
            return Wait(delay_s)
        emit = onward(event, told.time, taken.tier_s, now)
        return Told(emit, 0, taken.cause) if emit is not None else event

    async def _carry_out(self, taken: Taken, errand: Work | Told | None, mark: Watermark) -> None:
        """One record to its end; one that cannot be carried out is buried, one that was given back stays unread."""
        try:
            finished = await self._handle(taken, errand)
        except Exception as error:
            log.exception("dispatch.request_failed", offset=taken.record.offset)
            self._bugs_in_a_row += 1
            finished = await self._bury(taken, "bug", type(error).__name__)
        else:
            self._bugs_in_a_row = 0
        self._metrics.events.add(stage="dispatch", outcome="done" if finished else "given_back")
        if finished:
            mark.finish(taken.record.offset)

    async def _handle(self, taken: Taken, errand: Work | Told | None) -> bool:
        match errand:
            case Work():
                return await self._sender.handle(errand)
            case Told():
                return await self._tell(acting.outbox_row(errand, "dispatch", self._clock.now()))
            case None:
                return await self._bury(taken, "unreadable", taken.fault) if taken.fault else True

    async def _bury(self, taken: Taken, word: str, detail: str) -> bool:
        record, topic = taken.record, self._reader.plain(taken.record.topic)
        log.warning("dispatch.buried", topic=topic, reason=word, offset=record.offset)
        headers = [(name, value) for name, value in record.headers if value is not None]
        position = (record.partition, record.offset)
        letter = outbox.dead_row(topic, position, record.key, record.value, headers, (word, detail))
        told = await self._tell(letter)
        if told:
            self._metrics.buried.add(stage="dispatch", reason=word)
        return told

    async def _tell(self, row: outbox.OutboxRow) -> bool:
        """Commit and publish one event; not finished if Postgres is away until the partition leaves."""
        while not self._sender.resting:
            try:
                await (await self._ledger.tell(row))
            except (*AWAY, Overloaded) as error:
                if not isinstance(error, Overloaded) and not is_away(error):
                    raise
                log.warning("dispatch.database_away", error=repr(error))
                await asyncio.sleep(AWAY_PAUSE_S)
            else:
                return True
        return False

    async def _commit(self) -> None:
        """Commit the watermark of every partition that has moved."""
        self._committed_at_s = time.monotonic()
        positions = {partition: mark.position for partition, mark in self._marks.items()}
        moved = {
            partition: position
            for partition, position in positions.items()
            if position is not None and position != self._committed.get(partition)
        }
        if moved and await self._reader.commit(moved, epoch=self._epoch):
            self._committed |= moved
            reach("dispatch.offsets_committed")

    def _hold(self, taken: Taken, wait_s: float) -> None:
        if taken.partition not in self._held:
            self._reader.hold(taken.partition, taken.record.offset)
            self._held[taken.partition] = math.ceil((time.monotonic() + wait_s) / HELD_EVERY_S) * HELD_EVERY_S
            self._waiting[taken.partition] = taken.unfinished

    def _release_due(self) -> None:
        now_s = time.monotonic()
        for partition in [partition for partition, until_s in self._held.items() if until_s <= now_s]:
            del self._held[partition], self._waiting[partition]
            self._reader.release(partition)

    def _wait_ms(self) -> int:
        """Until the next held partition is due, and no longer than a poll may take."""
        due_s = min(self._held.values(), default=float("inf")) - time.monotonic()
        return int(1000 * min(max(due_s, 0.001), POLL_WAIT_S))
