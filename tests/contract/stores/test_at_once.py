"""The statements of the shorter way (runtime/at_once.py) on real Postgres: all of a row with its events, or nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, pool_of, somebody_waits
from watchword.events.envelope import Envelope
from watchword.events.verification import Facts, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.kernel.event import Emit
from watchword.kernel.ids import attempt_id
from watchword.runtime import at_once
from watchword.runtime.acting import Told
from watchword.runtime.at_once import Move
from watchword.runtime.incoming import Incoming, cause_of
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Pool, statements

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = Envelope(id="e", source="/test", type="t", time=UNTIL, subject="s")

Way = tuple[Pool, str]


STATEMENTS = {
    "codes": "issue_at_once", "fraud": "assess_at_once", "dispatch": "conclude_at_once", "receipts": "record_at_once",
}  # fmt: skip


@pytest_asyncio.fixture(params=sorted(STATEMENTS))
async def way(request: pytest.FixtureRequest, stand: Pipeline) -> AsyncIterator[Way]:
    """A worker's connections, under its own role, and its statement."""
    worker = str(request.param)
    async with pool_of(worker, stand.dsn) as pool:
        yield pool, statements(f"watchword.{worker}")[STATEMENTS[worker]]


async def asked_for(stand: Pipeline, way: Way, number: str = "+919876543210") -> Facts:
    """A verification that the statement can write for."""
    about = await stand.verification(number=number)
    if "UPDATE attempts" in way[1]:
        claimed: dict[str, Any] = {"state": "sending", "owner": "me", "account": "north", "gateway": "echo"}
        await attempt(stand, about, **claimed)
    return about


def row_of(way: Way, about: Facts) -> tuple[Any, ...]:
    """What the statement writes for a first send."""
    if "INTO codes" in way[1]:
        return (1, 1, attempt_of(about), UNTIL, b"mac", "pepper", b"sealed")
    if "receipts_parked" in way[1]:
        called = ("accepted", "accepted", "", "p1", 100, "USD", 12, 1, False)
        return (attempt_id(about.verification_id, 1, 1), "me", 0, *called, None, UNTIL, UNTIL, None)
    if "UPDATE attempts" in way[1]:
        return (attempt_id(about.verification_id, 1, 1), 90, "delivered", "p1", UNTIL, UNTIL, "north")
    return (1, False)


def attempt_of(about: Facts) -> UUID:
    return UUID(int=about.verification_id.int ^ 1)


def move(way: Way, about: Facts, *, seq: int) -> Move:
    event = VerificationAssessed(
        **shared(about), send_no=1, action=Action.ALLOW, mode=Mode.ENFORCE, score=0, ruleset="test"
    )
    key = str(about.verification_id)
    incoming = Incoming(event, ORIGIN, key, TopicPartition("t", 0), 0, None)
    return Move(key, seq, row_of(way, about), [Told(Emit(event, key), seq + 1, cause_of(incoming))])


def event(id_: UUID | None = None) -> OutboxRow:
    return OutboxRow(id_ or uuid4(), "otp.lifecycle", b"key", b"value", ())


async def write(
    way: Way, moves: Sequence[Move], rows: Mapping[str, list[OutboxRow]], settled: Sequence[UUID] = ()
) -> frozenset[str]:
    pool, statement = way
    async with pool.acquire() as connection:
        return await at_once.write(connection, statement, moves, rows, settled)


async def told(stand: Pipeline) -> set[UUID]:
    return {row["id"] for row in await stand.connection.fetch("SELECT id FROM outbox")}


async def test_a_row_that_nobody_moved_is_written_with_its_events_and_what_kafka_has_goes(
    stand: Pipeline, way: Way
) -> None:
    about = await asked_for(stand, way)
    key, first, second = str(about.verification_id), event(), event()
    assert await write(way, [move(way, about, seq=1)], {key: [first]}) == {key}
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 2
    other = await asked_for(stand, way, "+919876543211")
    assert await write(way, [move(way, other, seq=1)], {str(other.verification_id): [second]}, settled=[first.id]) == {
        str(other.verification_id)
    }
    assert await told(stand) == {second.id}


async def test_of_what_was_told_of_since_nothing_is_written_and_the_others_are(stand: Pipeline, way: Way) -> None:
    """Its events would bear a number that another event has."""
    moved, still = await asked_for(stand, way), await asked_for(stand, way, "+919876543211")
    await stand.connection.execute("UPDATE verifications SET seq = 2 WHERE id = $1", moved.verification_id)
    rows = {str(each.verification_id): [event()] for each in (moved, still)}
    done = await write(way, [move(way, moved, seq=1), move(way, still, seq=1)], rows)
    assert done == {str(still.verification_id)}
    assert await told(stand) == {rows[str(still.verification_id)][0].id}
    left = await stand.row(
        "SELECT seq, state, sends_assessed, sends_issued FROM verifications WHERE id = $1", moved.verification_id
    )
    assert tuple(left) == (2, "requested", 0, 0)


@pytest.mark.parametrize("way", ["codes", "fraud"], indirect=True)
async def test_what_ended_without_a_word_is_left_alone(stand: Pipeline, way: Way) -> None:
    ended: dict[str, Any] = {"ended_at": datetime.now(UTC), "due_at": None}
    about = await stand.verification(state="cancelled", **ended)
    key = str(about.verification_id)
    assert await write(way, [move(way, about, seq=1)], {key: [event()]}) == frozenset()
    assert await told(stand) == set()


async def test_a_code_and_its_attempt_are_stored_with_the_move_only(stand: Pipeline) -> None:
    about, late = await stand.verification(), await stand.verification(number="+919876543211")
    async with pool_of("codes", stand.dsn) as pool:
        way = (pool, statements("watchword.codes")["issue_at_once"])
        rows = {str(each.verification_id): [event()] for each in (about, late)}
        await write(way, [move(way, about, seq=1), move(way, late, seq=9)], rows)
    code = await stand.row("SELECT verification_id, version, mac, pepper_id, sealed FROM codes")
    assert tuple(code) == (about.verification_id, 1, b"mac", "pepper", b"sealed")
    attempt = await stand.row("SELECT id, send_no, try_no, code_version, send_deadline, state FROM attempts")
    assert tuple(attempt) == (attempt_of(about), 1, 1, 1, UNTIL, "queued")


async def test_two_processes_that_looked_at_the_same_time_write_once(stand: Pipeline, way: Way) -> None:
    abouts = [await asked_for(stand, way, f"+9198765432{n:02}") for n in range(12)]
    rows = {str(each.verification_id): [event()] for each in abouts}
    moves = [move(way, each, seq=1) for each in abouts]

    first, second = await asyncio.gather(write(way, moves, rows), write(way, moves, rows))
    assert first | second == set(rows)
    assert not first & second
    assert await stand.connection.fetchval("SELECT count(*) FROM verifications WHERE seq = 2") == len(abouts)


async def test_what_changes_without_a_word_while_it_waits_is_kept(stand: Pipeline, way: Way) -> None:
    """A check is counted before it is told: the row is written on top of that, and once."""
    about = await asked_for(stand, way)
    key, told_of = str(about.verification_id), event()
    async with stand.connection.transaction():
        await stand.connection.execute("UPDATE verifications SET checks_used = 3")
        waiting = asyncio.create_task(write(way, [move(way, about, seq=1)], {key: [told_of]}))
        await somebody_waits(stand)
    assert await waiting == {key}
    assert tuple(await stand.row("SELECT seq, checks_used FROM verifications")) == (2, 3)
    assert await told(stand) == {told_of.id}


async def test_an_assessment_at_once_leaves_what_the_usual_one_leaves(stand: Pipeline) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    about = await stand.verification(sends_requested=2, due_at=soon, flagged=True)
    async with pool_of("fraud", stand.dsn) as pool:
        way = (pool, statements("watchword.fraud")["assess_at_once"])
        await write(way, [move(way, about, seq=1)], {str(about.verification_id): []})
    row = await stand.row("SELECT sends_assessed, flagged, due_at FROM verifications")
    assert tuple(row) == (1, True, soon)
