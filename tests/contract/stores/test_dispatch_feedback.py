"""What providers are told of codes that were typed is taken and noted by, on a real Postgres under its own role."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued
from watchword.dispatch.store import SQL
from watchword.events.verification import Facts
from watchword.runtime.postgres import Pool

ROLE = "dispatch"
HELD_FOR = timedelta(seconds=90)
PAST = datetime.now(UTC) - timedelta(seconds=1)
TYPED_AT = datetime.now(UTC) - timedelta(seconds=5)


async def looked_at(pool: Pool, account: str = "north") -> list[asyncpg.Record]:
    return list(await pool.fetch(SQL["to_tell"], account, 10, HELD_FOR))


async def ended(stand: Pipeline, about: Facts, state: str) -> None:
    update = "UPDATE verifications SET state = $2, ended_at = $3 WHERE id = $1"
    await stand.connection.execute(update, about.verification_id, state, TYPED_AT)


async def sent(stand: Pipeline, about: Facts, **columns: Any) -> UUID:
    known: dict[str, Any] = {"state": "accepted", "account": "north", "provider_id": "m", "feedback_at": PAST}
    return await attempt(stand, about, **(known | {"claimed_at": TYPED_AT - timedelta(seconds=20)} | columns))


async def due_again(stand: Pipeline) -> None:
    await stand.connection.execute("UPDATE attempts SET feedback_at = $1", PAST)


async def test_a_message_is_held_by_one_process_and_a_try_counts_once_its_verification_ended(
    stand: Pipeline, pool: Pool
) -> None:
    about = await issued(stand)
    message = await sent(stand, about)
    assert await looked_at(pool, "south") == []
    [live] = await looked_at(pool)
    assert (live["id"], live["state"], live["tries"], live["carried"]) == (message, "issued", 0, False)
    assert await looked_at(pool) == [], "it is held by whoever looked first"
    await ended(stand, about, "approved")
    await due_again(stand)
    [due] = await looked_at(pool)
    assert (due["state"], due["tries"], due["carried"], due["provider_id"]) == ("approved", 1, True, "m")


@pytest.mark.parametrize(
    ("first", "second", "carried"),
    [
        ({}, {}, 2),
        ({}, {"state": "unknown"}, 2),
        ({}, {"state": "rejected"}, 1),
        ({}, {"receipt_state": "undelivered"}, 1),
        ({"receipt_state": "expired"}, {"receipt_state": "undelivered"}, 2),
        ({}, {"claimed_at": TYPED_AT + timedelta(seconds=1)}, 1),
        ({}, {"code_version": 2}, 1),
    ],
    ids=["resent", "unknown", "never left", "failed", "both failed", "after it was typed", "another code"],
)
async def test_the_code_that_was_typed_is_put_down_to_one_message(
    stand: Pipeline, pool: Pool, first: dict[str, Any], second: dict[str, Any], carried: int
) -> None:
    about = await issued(stand)
    messages = {1: await sent(stand, about, **first), 2: await sent(stand, about, send_no=2, **second)}
    await ended(stand, about, "approved")
    assert {row["id"] for row in await looked_at(pool) if row["carried"]} == {messages[carried]}


async def test_what_came_of_telling_is_noted_but_by_nobody_who_held_it_too_long(stand: Pipeline, pool: Pool) -> None:
    message = await sent(stand, await issued(stand))
    [late] = await looked_at(pool)
    await due_again(stand)
    [due] = await looked_at(pool)
    for held, look_at, noted in ((late, None, due["held_until"]), (due, PAST, PAST), (due, None, PAST)):
        await pool.execute(SQL["note_told"], [message], [held["held_until"]], [look_at], [2])
        row = await stand.row("SELECT feedback_at, feedback_tries FROM attempts")
        assert row["feedback_at"] == noted
    assert row["feedback_tries"] == 2
