"""Defences switched off: the statement without its condition, the step without its order. Nothing here is a behaviour
that anybody wants; it is what the promises are there to notice. Each answers a context within which it stays off."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.statements import MODELLED, checks, dispatch, intake, named, receipts
from tests.simulation.statements.columns import ended, moved, uuid
from tests.simulation.tables import Row, Rows, Statement
from tests.simulation.world import World
from watchword.dispatch.decide import approach
from watchword.dispatch.exchange import Exchange
from watchword.dispatch.feed import Feed
from watchword.dispatch.inflight import Watermark
from watchword.intake.limits import Buckets
from watchword.runtime import coalesce, outbox
from watchword.runtime.loop import Loop
from watchword.runtime.telling import Teller

Off = AbstractContextManager[None]


@contextmanager
def _replaced(owner: Any, **names: Any) -> Iterator[None]:
    """Attributes of `owner` are others for a while."""
    kept = {name: vars(owner)[name] for name in names}
    for name, value in names.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(owner, name, value)


@contextmanager
def _stated(world: World, statements: Mapping[str, Statement]) -> Iterator[None]:
    """Statements of this world's database do something else."""
    world.database.statements.update(statements)
    yield


# The outbox -------------------------------------------------------------------------------------------------------


def nothing_stored(world: World) -> Off:
    """Events are published after the commit, and stored nowhere."""

    async def store(self: Teller, connection: Any, rows: Sequence[Any]) -> list[Any]:
        return []

    return _replaced(Teller, store=store)


def settled_unheard(world: World) -> Off:
    """What was sent to Kafka counts as told, acknowledged or not."""
    tell = Teller.tell

    async def telling(self: Teller, rows: Sequence[Any]) -> bool:
        self._settled.extend(row.id for row in rows)
        return await tell(self, rows)

    return _replaced(Teller, tell=telling)


def only_settled(world: World) -> Off:
    """Statements that delete what was told and store what is new only delete."""
    begin = named("watchword.intake", "begin_at_once")

    def delete(rows: Rows, *arguments: Any) -> list[Row]:
        for identity in arguments[-1]:
            if rows.get("outbox", identity) is not None:
                rows.delete("outbox", identity)
        return []

    def begin_at_once(rows: Rows, *arguments: Any) -> list[Row]:
        *before, settled = arguments
        events = [[] for _ in before[37:]] if settled else before[37:]
        return intake.begin_at_once(rows, *before[:37], *events, settled)

    return _stated(world, {outbox.SETTLE_AND_INSERT: delete, begin: begin_at_once})


# Conditions of statements -----------------------------------------------------------------------------------------


def claimed_twice(world: World) -> Off:
    """A claim is had whatever state its attempt is in."""

    def claim(rows: Rows, ids: Any, *further: Any) -> list[Row]:
        for identity in ids:
            if rows.get("attempts", identity) is not None:
                rows.change("attempts", identity, state="queued")
        return dispatch.claim(rows, ids, *further)

    return _stated(world, {named("watchword.dispatch", "claim"): claim})


def concluded_by_anybody(world: World) -> Off:
    """A result is written at once whether the attempt is still its writer's or not, whatever was told since."""

    def conclude_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
        events, (ids, counted, seqs, attempts, *ends) = columns[:6], columns[6:]
        ends[:2] = _owners(rows, attempts)
        return dispatch.conclude_at_once(
            rows, settled, *events, ids, counted, _newest(rows, ids, seqs), attempts, *ends
        )

    return _stated(world, {named("watchword.dispatch", "conclude_at_once"): conclude_at_once})


def concluded_by_anybody_under_locks(world: World) -> Off:
    """The same, by results that go the usual way, and the others go it too."""

    def conclude(rows: Rows, keys: Any, counted: Any, owners: Any, recoveries: Any, *columns: Any) -> list[Row]:
        return dispatch.conclude(rows, keys, counted, *_owners(rows, keys), *columns)

    package = "watchword.dispatch"
    return _stated(world, {named(package, "conclude"): conclude, named(package, "conclude_at_once"): _nothing})


def moved_or_not(world: World, worker: str, name: str) -> Off:
    """What goes the shorter way is written whatever was told of its verification since it was looked at."""
    sql = named(f"watchword.{worker}", name)
    statement = MODELLED[sql]

    def at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
        events, (ids, counted, seqs, *further) = columns[:6], columns[6:]
        return statement(rows, settled, *events, ids, counted, _newest(rows, ids, seqs), *further)

    return _stated(world, {sql: at_once})


def _owners(rows: Rows, attempts: Any) -> tuple[list[str], list[int]]:
    found = [rows.change("attempts", uuid(each), state="sending") for each in attempts]
    return [row["owner"] for row in found], [row["recovery"] for row in found]


def _newest(rows: Rows, ids: Any, seqs: Any) -> list[int]:
    stand = [rows.get("verifications", uuid(each)) for each in ids]
    return [row["seq"] if row is not None else seq for row, seq in zip(stand, seqs, strict=True)]


def _nothing(rows: Rows, *columns: Any) -> list[Row]:
    return []


def last_receipt_counts(world: World) -> Off:
    """Receipts go down as well as up."""

    def look(rows: Rows, *references: Any) -> list[Row]:
        return [{**row, "receipt_rank": 0} for row in receipts.look(rows, *references)]

    def record_at_once(rows: Rows, settled: Any, *columns: Any) -> list[Row]:
        for identity in columns[9]:
            rows.change("attempts", identity, receipt_rank=0)
        return receipts.record_at_once(rows, settled, *columns)

    package = "watchword.receipts"
    return _stated(world, {named(package, "look"): look, named(package, "record_at_once"): record_at_once})


def last_receipt_counts_under_locks(world: World) -> Off:
    """The same, by those that go the usual way, and the others go it too."""

    def forgotten(rows: Rows, ids: Any) -> list[Row]:
        return [{**row, "receipt_rank": 0} for row in receipts.attempts(rows, ids)]

    def record(rows: Rows, keys: Any, counted: Any, ids: Any, *further: Any) -> list[Row]:
        for identity in ids:
            rows.change("attempts", identity, receipt_rank=0)
        return receipts.record(rows, keys, counted, ids, *further)

    package = "watchword.receipts"
    stated: dict[str, Statement] = {named(package, "attempts"): forgotten, named(package, "record"): record}
    return _stated(world, {**stated, named(package, "record_at_once"): _nothing})


def approved_in_any_state(world: World) -> Off:
    """The right code approves whatever has become of its verification since it was counted."""

    def approve(rows: Rows, keys: Any, counted: Any, check_nos: Any, reasons: Any) -> list[Row]:
        def columns(row: Row, index: int) -> dict[str, Any]:
            return ended(rows, row, "approved", reasons[index], row["checks_told"] | 1 << check_nos[index] - 1)

        return moved(rows, keys, counted, columns)

    def conclude_at_once(
        rows: Rows, ids: Any, counted: Any, check_nos: Any, ends: Any, reasons: Any, *further: Any
    ) -> list[Row]:
        stand = [rows.change("verifications", uuid(each), state="issued") for each in ids]
        seqs = [row["seq"] for row in stand]
        return checks.conclude_at_once(rows, ids, counted, check_nos, ends, reasons, seqs, *further[1:])

    package = "watchword.checks"
    return _stated(world, {named(package, "approve"): approve, named(package, "conclude_at_once"): conclude_at_once})


def compared_uncounted(world: World) -> Off:
    """The code is compared and the count stays where it was."""

    def count(rows: Rows, ids: Any) -> list[Row]:
        found = checks.count(rows, ids)
        for each in found:
            rows.change("verifications", each["id"], checks_used=each["checks_used"] - 1)
        return found

    def count_at_once(rows: Rows, *asked: Any) -> list[Row]:
        found = checks.count_at_once(rows, *asked)
        for each in found:
            if each["check_no"] is not None:
                rows.change("verifications", each["verification_id"], checks_used=each["check_no"] - 1)
        return found

    package = "watchword.checks"
    return _stated(world, {named(package, "count"): count, named(package, "count_at_once"): count_at_once})


# Intake -----------------------------------------------------------------------------------------------------------


def keys_forgotten(world: World) -> Off:
    """No idempotency key is remembered, and no number's live verification."""

    def hold_keys(rows: Rows, *columns: Any) -> list[Row]:
        return [{**row, "status": 0} for row in intake.hold_keys(rows, *columns)]

    def hold_latest(rows: Rows, *columns: Any) -> list[Row]:
        return [{**row, "verification_id": None} for row in intake.hold_latest(rows, *columns)]

    package = "watchword.intake"
    return _stated(world, {named(package, "hold_keys"): hold_keys, named(package, "hold_latest"): hold_latest})


def live_one_forgotten(world: World) -> Off:
    """Nobody remembers that a number has a live verification for a purpose."""

    def hold_latest(rows: Rows, *columns: Any) -> list[Row]:
        return [{**row, "verification_id": None} for row in intake.hold_latest(rows, *columns)]

    return _stated(world, {named("watchword.intake", "hold_latest"): hold_latest})


def gap_unasked(world: World) -> Off:
    """The next send may begin whenever it is asked for."""

    def hold_verifications(rows: Rows, ids: Any) -> list[Row]:
        return [{**row, "next_send_at": row["created_at"]} for row in intake.hold_verifications(rows, ids)]

    return _stated(world, {named("watchword.intake", "hold_verifications"): hold_verifications})


def answers_mixed(world: World) -> Off:
    """Whoever waits in one batch gets the answer of another one in it."""
    deliver = coalesce._deliver

    def delivering(batch: Sequence[Any], results: Sequence[Any]) -> None:
        deliver(batch, list(reversed(results)))

    return _replaced(coalesce, _deliver=delivering)


def limits_unasked(world: World) -> Off:
    """Every send is granted."""
    return _replaced(Buckets, take=lambda self, limits: None)


# Timers -----------------------------------------------------------------------------------------------------------


def assessments_awaited(world: World) -> Off:
    """Whatever fraud does not answer is waited for."""

    def assume(rows: Rows, *columns: Any) -> list[Row]:
        return []

    return _stated(world, {named("watchword.timers", "assume_assessed"): assume})


# Leases, deadlines, leaving ---------------------------------------------------------------------------------------


def lease_unasked(world: World) -> Off:
    """A gateway is called without a look at one's own lease."""
    return _replaced(Exchange, _lease_refusal=lambda self: "")


def deadline_unasked(world: World) -> Off:
    """A gateway is called without a look at the clock."""

    @contextmanager
    def both() -> Iterator[None]:
        with (
            _replaced(approach, in_time=lambda attempt, now: attempt.live),
            _replaced(Exchange, _send_refusal=lambda self: self._lease_refusal()),
        ):
            yield

    return both()


def left_in_the_middle(world: World) -> Off:
    """Dispatch leaves without finishing what it has begun."""

    async def drained(self: Feed) -> None:
        return None

    return _replaced(Feed, _drained=drained)


# Offsets ----------------------------------------------------------------------------------------------------------


def newest_is_finished(world: World) -> Off:
    """Dispatch commits what it has taken."""
    return _replaced(Watermark, position=property(lambda self: self._next if self._next >= 0 else None))


def committed_when_read(world: World) -> Off:
    """The loop commits what it has read."""
    turn = Loop._turn

    async def turning(self: Any, records: Sequence[Any]) -> None:
        read = {TopicPartition(each.topic, each.partition): each.offset + 1 for each in records}
        if read:
            self._finished.add(read, self._reader.epoch)
            await self._finished.commit()
        await turn(self, records)

    return _replaced(Loop, _turn=turning)


def passed_over(world: World) -> Off:
    """What the database could not take is not read again."""
    return _replaced(Loop, _hold_from=lambda self, records, pause_s: None)
