"""Every statement of callbacks, on a real Postgres under its own role."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.support import postgres
from tests.support.pipeline import Pipeline
from tests.support.rows import pool_of, tables
from watchword.callbacks.store import SQL, claim_of, facts_of, late_of, standing_of
from watchword.events.verification import Facts
from watchword.events.verification_ended import Ending
from watchword.runtime.postgres import Pool, columns

LEASE = timedelta(seconds=12)


def now() -> datetime:
    """Asked anew each time: a run is longer than what these tests call late."""
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def rows(database: postgres.FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def pool(rows: Pipeline) -> AsyncIterator[Pool]:
    async with pool_of("callbacks", rows.dsn) as made:
        yield made


def owed(about: Facts, endpoint: str = "main", *, event: UUID | None = None, **changes: Any) -> tuple[Any, ...]:
    """A row for the statement `owe`, key and count in front."""
    event_id = event or uuid4()
    at = now()
    row = {
        "verification_id": about.verification_id, "event_id": event_id, "endpoint": endpoint, "tenant": "shop",
        "event": "verification-ended", "body": b"{}", "state": "pending", "told_at": at, "begun_at": at,
        "expires_at": at + timedelta(seconds=300), "gives_up_at": at + timedelta(hours=76),
    } | changes  # fmt: skip
    return (f"{event_id}/{endpoint}", 0, *row.values())


async def owe(pool: Pool, *owes: tuple[Any, ...]) -> list[asyncpg.Record]:
    return list(await pool.fetch(SQL["owe"], *columns(list(owes), 13)))


async def claim(pool: Pool, *rooms: tuple[str, str, int, int], most: int = 100) -> list[asyncpg.Record]:
    return list(await pool.fetch(SQL["claim"], *columns(list(rooms), 4), most, LEASE))


async def conclude(pool: Pool, claimed: asyncpg.Record, state: str = "delivered", counted: int = 1) -> Any:
    one = claim_of(claimed)
    row = (one.key, counted, one.verification_id, one.event_id, one.endpoint, one.round, one.attempts, state, 200, "")
    return await pool.fetch(SQL["conclude"], *columns([row], 10))


async def state_of(rows: Pipeline) -> list[str]:
    found = await rows.connection.fetch("SELECT state FROM callback_deliveries ORDER BY endpoint, event_id")
    return [row["state"] for row in found]


async def test_a_standing_says_how_a_verification_ended_and_who_asked_for_it(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification(state="approved", end_reason="right_code", ended_at=now(), request_id="req-1")
    [row] = await pool.fetch(SQL["standings"], [about.verification_id, uuid4()])
    standing = standing_of(row)
    assert (standing.ending, standing.reason, standing.request_id) == (Ending.APPROVED, "right_code", "req-1")
    assert standing.about.verification_id == about.verification_id


async def test_what_is_owed_is_owed_once_whatever_is_delivered_twice(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification()
    row = owed(about)
    other = owed(about, "second")
    assert {each["key"] for each in await owe(pool, row, other)} == {row[0], other[0]}
    assert await owe(pool, row) == []
    assert await state_of(rows) == ["pending", "pending"]


async def test_a_claim_takes_what_is_due_once_and_again_only_after_its_lease(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification()
    await owe(pool, owed(about), owed(about, begun_at=now() + timedelta(hours=1)))
    [claimed] = await claim(pool, ("shop", "main", 3, 5))
    one = claim_of(claimed)
    assert (one.attempts, one.version, one.body) == (1, 3, b"{}")
    assert await claim(pool, ("shop", "main", 3, 5)) == []
    await rows.connection.execute("UPDATE callback_deliveries SET next_at = clock_timestamp()")
    again = await claim(pool, ("shop", "main", 3, 5))
    assert sorted(claim_of(each).attempts for each in again) == [1, 2]


async def test_a_claim_keeps_to_the_room_of_each_endpoint_and_to_the_room_in_all(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification()
    await owe(pool, *(owed(about, "dead") for _ in range(10)), *(owed(about, "main") for _ in range(10)))
    taken = await claim(pool, ("shop", "dead", 1, 2), ("shop", "main", 1, 3), ("other", "main", 1, 5))
    assert sorted(row["endpoint"] for row in taken) == ["dead", "dead", "main", "main", "main"]
    assert len(await claim(pool, ("shop", "dead", 1, 9), ("shop", "main", 1, 9), most=4)) == 4


async def test_nobody_claims_for_an_endpoint_that_is_gone_until_its_document_changes(
    rows: Pipeline, pool: Pool
) -> None:
    await owe(pool, owed(await rows.verification()))
    gone = [("shop/main", 0, "shop", "main", 3, "gone"), ("shop/main", 0, "shop", "main", 2, "gone")]
    await pool.fetch(SQL["disable"], *columns(gone, 6))
    assert [tuple(row) for row in await pool.fetch(SQL["gone_endpoints"], ["shop"], ["main"], [3])] == [
        ("shop", "main")
    ]
    assert await claim(pool, ("shop", "main", 3, 5)) == []
    assert await pool.fetch(SQL["gone_endpoints"], ["shop"], ["main"], [4]) == []
    assert len(await claim(pool, ("shop", "main", 4, 5))) == 1


async def test_a_later_word_of_an_older_document_does_not_disable_a_newer_one(rows: Pipeline, pool: Pool) -> None:
    for version in (5, 4):
        await pool.fetch(SQL["disable"], *columns([("shop/main", 0, "shop", "main", version, "gone")], 6))
    assert await rows.connection.fetchval("SELECT version FROM endpoint_states") == 5


async def test_an_end_is_written_once_and_counts_its_event(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification(seq=4)
    await owe(pool, owed(about))
    [claimed] = await claim(pool, ("shop", "main", 1, 5))
    [told] = await conclude(pool, claimed)
    assert (told["key"], told["seq"]) == (claim_of(claimed).key, 5)
    assert await conclude(pool, claimed) == []
    assert await rows.connection.fetchval("SELECT seq FROM verifications") == 5
    assert await state_of(rows) == ["delivered"]


async def test_a_result_that_comes_after_its_lease_changes_nothing(rows: Pipeline, pool: Pool) -> None:
    await owe(pool, owed(await rows.verification()))
    [first] = await claim(pool, ("shop", "main", 1, 5))
    await rows.connection.execute("UPDATE callback_deliveries SET next_at = clock_timestamp()")
    [second] = await claim(pool, ("shop", "main", 1, 5))
    assert await conclude(pool, first, "gave_up") == []
    assert len(await conclude(pool, second)) == 1


async def test_a_failed_try_waits_for_its_moment(rows: Pipeline, pool: Pool) -> None:
    await owe(pool, owed(await rows.verification()))
    one = claim_of((await claim(pool, ("shop", "main", 1, 5)))[0])
    at = now() + timedelta(minutes=5)
    row = (one.key, 0, one.verification_id, one.event_id, "main", 0, 1, 503, "timeout", at)
    assert [each["key"] for each in await pool.fetch(SQL["again"], *columns([row], 10))] == [one.key]
    kept = await rows.row("SELECT state, status, failure, next_at FROM callback_deliveries")
    assert tuple(kept) == ("pending", 503, "timeout", at)
    assert await claim(pool, ("shop", "main", 1, 5)) == []


async def test_verifications_are_held_with_what_their_events_say(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification(reference="signup-1")
    async with pool.acquire() as connection, connection.transaction():
        [row] = await connection.fetch(SQL["hold"], [about.verification_id])
    assert facts_of(row).reference == "signup-1"


async def test_what_is_due_at_a_silent_endpoint_is_put_aside_but_not_what_is_under_way(
    rows: Pipeline, pool: Pool
) -> None:
    about = await rows.verification()
    await owe(pool, owed(about), owed(about), owed(about, "second"))
    await claim(pool, ("shop", "main", 1, 1))
    await pool.execute(SQL["shelve"], ["shop"], ["main"], 10)
    assert sorted(await state_of(rows)) == ["disabled", "pending", "pending"]


async def test_what_is_past_its_schedule_is_found_with_its_last_answer(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification()
    late = now() - timedelta(minutes=5)
    await owe(pool, owed(about, gives_up_at=late, begun_at=late), owed(about))
    [row] = await pool.fetch(SQL["late"], timedelta(minutes=1), 10)
    one, answer = late_of(row)
    assert (one.attempts, answer.status, answer.failure) == (0, 0, "")


async def test_the_age_of_the_oldest_due_delivery_is_told(rows: Pipeline, pool: Pool) -> None:
    assert await pool.fetchval(SQL["oldest_due"], ["shop"], ["main"]) == 0.0
    about = await rows.verification()
    await owe(pool, owed(about, begun_at=now() - timedelta(seconds=90)), owed(about))
    assert 90 <= await pool.fetchval(SQL["oldest_due"], ["shop"], ["main"]) < 200


async def test_an_operator_finds_and_restarts_one_event_or_a_span(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification()
    event = uuid4()
    old = now() - timedelta(days=1)
    await owe(
        pool,
        owed(about, event=event, state="disabled", begun_at=old),
        owed(about, "", event=event, state="delivered", begun_at=old),
        owed(about, told_at=old, state="gave_up", begun_at=old),
        owed(about),
    )
    assert [tuple(row) for row in await pool.fetch(SQL["found_by_event"], event)] == [("disabled", 1)]
    span = ("shop", "main", now() - timedelta(hours=1), now() + timedelta(hours=1))
    assert {row["state"]: row["deliveries"] for row in await pool.fetch(SQL["found_by_endpoint"], *span)} == {
        "disabled": 1,
        "pending": 1,
    }
    later = now() + timedelta(seconds=1)
    assert await pool.execute(SQL["redeliver_event"], event, later, later) == "UPDATE 1"
    assert await pool.execute(SQL["redeliver_event"], event, later, later) == "UPDATE 0"
    whole = ("shop", "main", old, now() + timedelta(hours=1))
    assert await pool.execute(SQL["redeliver_endpoint"], *whole, later, later, 10) == "UPDATE 1"
    restarted = await rows.row("SELECT round, attempts, concluded_at FROM callback_deliveries WHERE told_at = $1", old)
    assert tuple(restarted) == (1, 0, None)


@pytest.mark.parametrize(
    "forbidden",
    [
        "SELECT number_sealed FROM verifications",
        "SELECT own_code FROM verifications",
        "SELECT * FROM codes",
        "SELECT * FROM subjects",
        "SELECT * FROM attempts",
        "UPDATE verifications SET state = 'approved'",
        "DELETE FROM callback_deliveries",
    ],
)
async def test_the_role_reads_no_number_and_no_code_and_moves_no_verification(pool: Pool, forbidden: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(forbidden)


async def test_a_result_waits_for_its_topic_however_long_and_is_told_once(rows: Pipeline, pool: Pool) -> None:
    about = await rows.verification(tenant="press")
    past = now() - timedelta(days=5)
    event = uuid4()
    await owe(pool, owed(about, "", event=event, tenant="press", begun_at=past, gives_up_at=past))
    assert await pool.fetch(SQL["late"], timedelta(minutes=1), 10) == []
    assert await pool.fetch(SQL["waiting_results"], ["shop"], 10) == []
    [row] = await pool.fetch(SQL["waiting_results"], ["shop", "press"], 10)
    assert tuple(row) == (about.verification_id, event, "press")
    told = [f"{event}/"], [0], [about.verification_id], [event]
    assert [row["key"] for row in await pool.fetch(SQL["tell_result"], *told)] == [f"{event}/"]
    assert await pool.fetch(SQL["tell_result"], *told) == []
    assert await pool.fetch(SQL["waiting_results"], ["press"], 10) == []
