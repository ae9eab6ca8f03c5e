"""The standard step, once: read, decode, gather, decide, act in one transaction, publish, settle, commit.

Whatever happens between two of these, nothing is lost and a repeat changes nothing (guarantees.md, section 2):
every write is conditional on its natural key, every event is committed with the change it tells of, and an offset
is committed only after both. A worker supplies `gather` and `decide`; it never writes a loop of its own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from watchword.events import envelope as envelopes
from watchword.events.catalog import UnreadableEvent, decode, name_of
from watchword.kernel.event import Event
from watchword.kernel.verdict import Dead, Done, Later, Verdict
from watchword.runtime import acting, at_once, outbox, unfinished
from watchword.runtime.at_once import AtOnce, Move, Seen
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.failpoints import reach
from watchword.runtime.finished import Finished
from watchword.runtime.health import Check
from watchword.runtime.in_a_row import InARow
from watchword.runtime.incoming import Incoming, cause_of, letter_of, letters_of, partition_of, rounds
from watchword.runtime.kafka import Reader
from watchword.runtime.metrics import RuntimeMetrics
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.pace import Pace
from watchword.runtime.postgres import AWAY, TOO_MUCH_AT_ONCE, Connection, Pool, is_away
from watchword.runtime.publishing import Publisher
from watchword.runtime.telling import Teller
from watchword.runtime.unfinished import Unfinished

if TYPE_CHECKING:
    from watchword.runtime.process import Context

log = structlog.get_logger()
F = TypeVar("F")

BATCH_RECORDS_MAX = 300
POLL_WAIT_MS = 200
EVERY_S = 0.02
AWAY_PAUSE_S = 0.5
TURNS_WITHIN_S = 30.0
LIVE_WITHIN_S = 120.0


@dataclass(frozen=True)
class Step(Generic[F]):
    """What a worker brings to the loop.

    `gather` reads, under lock and in one query per table, the facts of every event in the batch, by `Incoming.key`.
    `decide` answers one event with a verdict; it is pure and total. `statements` are the worker's conditional
    writes in the order in which they take locks: verifications, attempts, the rest. `merge` takes out of what is told
    what is published in another way; `count` hears, for metrics, what was told once it is committed. `at_once` is a
    shorter way for what needs no lock to be decided. Under load a turn begins `every_s` after the last one: short where
    a user waits for what the step does, longer where nobody does.
    """

    worker: str
    group: str
    reads: tuple[str, ...]
    handles: tuple[type[Event], ...]
    gather: Callable[[Sequence[Incoming], Connection], Awaitable[Mapping[str, F]]]
    decide: Callable[[Event, F | None, datetime], Verdict]
    statements: Mapping[str, str]
    merge: Callable[[Sequence[acting.Told]], Sequence[acting.Told]] | None = None
    count: Callable[[Sequence[acting.Told]], None] = lambda told: None
    at_once: AtOnce[F] | None = None
    records_max: int = BATCH_RECORDS_MAX
    every_s: float = EVERY_S


class Loop(Generic[F]):
    """Runs one step for as long as its process lives."""

    def __init__(
        self,
        step: Step[F],
        *,
        pool: Pool,
        clock: DatabaseClock,
        publisher: Publisher,
        reader: Callable[..., Reader],
        metrics: RuntimeMetrics,
        turning: Check,
    ) -> None:
        self._step = step
        self._pool = pool
        self._clock = clock
        self._reader = reader(step.reads, group=step.group, on_revoked=self._drained)
        self._turning = asyncio.Lock()
        self._pace = Pace(step.every_s)
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._held: dict[TopicPartition, float] = {}
        self._in_hand: Sequence[Any] = ()
        self._finished = Finished(self._reader, lambda: reach(f"{step.group}.offsets_committed"))
        self._waiting: dict[TopicPartition, Unfinished] = {}
        self._teller = Teller(step.group, publisher=publisher, pool=pool)
        self._decisions = InARow()
        self._transactions = InARow()
        self._records_max = step.records_max
        self._handled = frozenset(event.NAME for event in step.handles)
        self._metrics = metrics
        self._turning_check = turning

    @classmethod
    def of(cls, step: Step[F], context: "Context") -> "Loop[F]":
        """The loop of `step` in this process."""
        return cls(
            step,
            pool=context.pool,
            clock=context.clock,
            publisher=context.publisher,
            reader=context.reader,
            metrics=context.runtime_metrics,
            turning=context.health.check(
                f"{step.group}.loop", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S
            ),
        )

    async def start(self) -> None:
        """Join the group and begin. Raises when broker or database cannot be reached."""
        await self._clock.refresh()
        unfinished.show(self._metrics, self._step.group, now=self._clock.now, in_hand=self._left)
        await self._reader.start()
        self._task = asyncio.create_task(self._run(), name=f"loop-{self._step.worker}")

    async def stop(self) -> None:
        """Finish the batch in hand, commit it, leave the group."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task})  # what ended it is told as `failed`
        await self._reader.stop()

    @property
    def failed(self) -> BaseException | None:
        """The error that ended the loop, if one did: a bug, which only a restart can mend."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def _drained(self) -> None:
        """The partitions leave: the batch in hand is finished and committed first."""
        async with self._turning:
            await self._finished.commit()

    async def _run(self) -> None:
        while not self._stopping:
            self._release_due()
            try:
                records = await self._reader.poll(records_max=self._records_max, wait_ms=POLL_WAIT_MS, pace=self._pace)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("runtime.poll_failed", worker=self._step.worker, error=repr(error))
                self._turning_check.failing("kafka does not answer")
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            epoch = self._reader.epoch  # of the assignment these records were read under
            async with self._turning:
                if epoch != self._reader.epoch:
                    continue
                self._in_hand = records
                await self._turn(records)
                self._pace.end()
                self._in_hand = ()
                if not records or self._finished.is_due:
                    await self._finished.commit()
        await self._finished.commit()
        await self._teller.stop()

    def _left(self) -> list[Unfinished]:
        """What is in hand or held: what to say of how late this stage is."""
        self._metrics.inflight.set(len(self._in_hand), stage=self._step.group)
        return [*unfinished.oldest(self._in_hand), *self._waiting.values()]

    async def _turn(self, records: Sequence[Any]) -> None:
        if not records:
            if not self._held:
                self._turning_check.ok()
            await self._teller.settle_idle()
            return
        epoch, started = self._reader.epoch, time.monotonic()
        try:
            await self._clock.refresh()
            self._measure(records)
            offsets = await self._process(records)
        except AWAY as error:
            log.warning("runtime.database_away", worker=self._step.worker, error=repr(error))
            self._turning_check.failing("the database does not answer")
            self._hold_from(records, AWAY_PAUSE_S)
            if isinstance(error, TOO_MUCH_AT_ONCE):
                self._records_max = max(len(records) // 2, 1)
            return
        self._turning_check.ok()
        self._records_max = min(self._records_max * 2, self._step.records_max)
        self._finished.add(offsets, epoch)
        self._metrics.batch_seconds.observe(time.monotonic() - started, stage=self._step.group)

    def _measure(self, records: Sequence[Any]) -> None:
        """The batch's size, and the age of its oldest record: what an SRE scales on."""
        oldest_ms = min(record.timestamp for record in records)
        self._metrics.batch_size.observe(len(records), stage=self._step.group)
        age_s = self._clock.now().timestamp() - oldest_ms / 1000
        self._metrics.age_seconds.observe(max(age_s, 0.0), stage=self._step.group)

    async def _process(self, records: Sequence[Any]) -> dict[TopicPartition, int]:
        """Carry out every record that is due; answers the next offset to commit per partition."""
        newest = {(record.topic, record.partition): record for record in records}
        offsets = {partition_of(record): record.offset + 1 for record in newest.values()}
        incoming, letters = self._read(records)
        reach(f"{self._step.group}.decoded")
        waiting: dict[TopicPartition, int] = {}
        for batch in rounds(incoming):
            due = [each for each in batch if each.offset < waiting.get(each.partition, each.offset + 1)]
            waiting |= await self._carry_out_surely(due, letters)
            letters = []
        if letters:
            waiting |= await self._carry_out([], letters)
        return offsets | waiting

    async def _carry_out_surely(self, batch: Sequence[Incoming], letters: list[OutboxRow]) -> dict[TopicPartition, int]:
        """`_carry_out`, and if one event breaks it, the batch taken apart so that only that one is buried.

        What Postgres cannot take (a number too large for its column, a NUL in a text) is poison like any other.
        """
        try:
            return await self._carry_out(batch, letters)
        except Exception as error:
            if is_away(error):
                raise
            self._log(error)
            self._transactions.failed(error)
            if len(batch) > 1:
                return await self._carry_out_singly(batch, letters)
            buried = [letter_of(self._reader, each.record, ("bug", type(error).__name__)) for each in batch]
            return await self._carry_out([], [*letters, *buried])

    async def _carry_out_singly(self, batch: Sequence[Incoming], letters: list[OutboxRow]) -> dict[TopicPartition, int]:
        waiting: dict[TopicPartition, int] = {}
        for each in batch:
            if each.offset < waiting.get(each.partition, each.offset + 1):
                waiting |= await self._carry_out_surely([each], letters)
                letters = []
        return waiting

    async def _carry_out(self, batch: Sequence[Incoming], letters: list[OutboxRow]) -> dict[TopicPartition, int]:
        """One statement for what goes the shorter way, one transaction for the rest of `batch`; answers the partitions
        that must wait, and from which offset."""
        if self._step.at_once is not None and batch:
            batch = await self._carry_out_at_once(batch, self._step.at_once)
        if not batch and not letters:
            return {}
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            facts = await self._step.gather(batch, connection) if batch else {}
            reach(f"{self._step.group}.gathered")
            now = self._clock.now()
            verdicts = [(each, self._decide(each, facts.get(each.key), now)) for each in batch]
            waiting = self._hold_later(verdicts, now)
            carried = [pair for pair in verdicts if pair[0].offset < waiting.get(pair[0].partition, 1 << 62)]
            told = await self._act(connection, carried)
            rows = [*self._rows(told, now), *letters, *letters_of(self._reader, carried)]
            settled = await self._teller.store(connection, rows)
            reach(f"{self._step.group}.acted")
        reach(f"{self._step.group}.committed")
        self._step.count(told)
        if batch:
            self._transactions.well()
        self._teller.forget(settled)
        for kind, count in Counter(type(verdict) for _, verdict in carried).items():
            self._metrics.events.add(count, stage=self._step.group, outcome=kind.__name__.lower())
        for reason in outbox.reasons(rows):
            self._metrics.buried.add(stage=self._step.group, reason=reason)
        await self._teller.tell(rows)
        return waiting

    async def _carry_out_at_once(self, batch: Sequence[Incoming], way: AtOnce[F]) -> Sequence[Incoming]:
        """The shorter way; answers what is left to do, in order."""
        async with self._pool.acquire(timeout=5) as connection:
            seen = await way.look(batch, connection)
            reach(f"{self._step.group}.gathered")
            moves = self._moves(batch, way, seen)
            if not moves:
                return batch
            rows = {move.verification: self._rows(move.told, self._clock.now()) for move in moves.values()}
            settled = self._teller.settled
            reach(f"{self._step.group}.acted")
            done = await at_once.write(connection, way.statement, list(moves.values()), rows, settled)
        reach(f"{self._step.group}.committed")
        self._transactions.well()
        self._step.count([each for move in moves.values() if move.verification in done for each in move.told])
        self._teller.forget(settled)
        if done:
            self._metrics.events.add(len(done), stage=self._step.group, outcome="done")
        await self._teller.tell([row for verification in rows if verification in done for row in rows[verification]])
        return [each for each in batch if (move := moves.get(each.key)) is None or move.verification not in done]

    def _moves(self, batch: Sequence[Incoming], way: AtOnce[F], seen: Mapping[str, Seen[F]]) -> dict[str, Move]:
        """What of `batch` goes the shorter way, by key: nothing at all if anything in it has to wait."""
        now, moves = self._clock.now(), {}
        for each in batch:
            found = seen.get(each.key)
            if found is None:
                continue
            try:
                verdict = self._step.decide(each.event, found.facts, now)
            except Exception:  # noqa: BLE001 - the usual way decides anew, and says what is wrong
                continue
            if isinstance(verdict, Later):
                return {}
            move = at_once.move_of(each, verdict, found, way.row) if isinstance(verdict, Done) else None
            if move is not None:
                moves[each.key] = move
        return at_once.apart(moves)

    async def _act(self, connection: Connection, carried: Sequence[tuple[Incoming, Verdict]]) -> Sequence[acting.Told]:
        done = [(cause_of(each), verdict) for each, verdict in carried if isinstance(verdict, Done)]
        return await acting.write(connection, done, self._step.statements)

    def _rows(self, told: Sequence[acting.Told], now: datetime) -> list[OutboxRow]:
        if self._step.merge is not None:
            told = self._step.merge(told)
        return [acting.outbox_row(each, self._step.worker, now) for each in told]

    def _read(self, records: Sequence[Any]) -> tuple[list[Incoming], list[OutboxRow]]:
        """The records this step handles, and a dead letter for each that cannot be read."""
        incoming: list[Incoming] = []
        letters: list[OutboxRow] = []
        for record in records:
            try:
                # Whatever this step does not handle is passed over by its header: other events of the topic, and
                # events that a newer version tells, cost no decoding and are nobody's poison.
                if name_of(envelopes.type_in(record.headers)) not in self._handled:
                    continue
                told = envelopes.read(record.headers)
                event = decode(told.type, record.value)
            except (UnreadableEvent, ValueError) as error:
                letters.append(letter_of(self._reader, record, ("unreadable", str(error))))
                continue
            key = (record.key or b"").decode("utf-8", "replace")
            incoming.append(Incoming(event, told, key, partition_of(record), record.offset, record))
        return incoming, letters

    def _decide(self, incoming: Incoming, facts: F | None, now: datetime) -> Verdict:
        """The step's verdict; a decision that raises is a bug, buried with its event, and too many stop the loop."""
        try:
            verdict = self._step.decide(incoming.event, facts, now)
        except Exception as error:  # noqa: BLE001 - counted, and raised again once there are too many
            self._log(error)
            self._decisions.failed(error)
            return Dead("bug", type(error).__name__)
        self._decisions.well()
        return verdict

    def _log(self, error: Exception) -> None:
        log.error("runtime.step_failed", worker=self._step.worker, error=type(error).__name__, exc_info=error)

    def _hold_later(self, verdicts: Sequence[tuple[Incoming, Verdict]], now: datetime) -> dict[TopicPartition, int]:
        """The earliest record per partition whose verdict is Later: the partition waits there."""
        waiting: dict[TopicPartition, int] = {}
        for each, verdict in verdicts:
            if isinstance(verdict, Later) and each.offset < waiting.get(each.partition, 1 << 62):
                waiting[each.partition] = each.offset
                self._hold(each.record, (verdict.at - now).total_seconds())
        return waiting

    def _hold_from(self, records: Iterable[Any], pause_s: float) -> None:
        first: dict[TopicPartition, Any] = {}
        for record in records:
            first.setdefault(partition_of(record), record)
        for record in first.values():
            self._hold(record, pause_s)

    def _hold(self, record: Any, pause_s: float) -> None:
        """The partition waits at `record`."""
        partition = partition_of(record)
        self._reader.hold(partition, record.offset)
        self._held[partition] = time.monotonic() + max(pause_s, 0.01)
        self._waiting[partition] = unfinished.of_record(record)

    def _release_due(self) -> None:
        due = [partition for partition, until in self._held.items() if until <= time.monotonic()]
        for partition in due:
            del self._held[partition], self._waiting[partition]
            self._reader.release(partition)
