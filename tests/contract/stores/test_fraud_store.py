"""Every statement of fraud on real Postgres, under fraud's own role."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.pipeline import Pipeline
from watchword.kernel.verification import ENDED, LIVE, State
from watchword.runtime.postgres import Pool, columns, statements

ROLE = "fraud"

SQL = statements("watchword.fraud")


async def assess(pool: Pool, *rows: tuple[Any, ...], flagged: bool = False) -> dict[str, int]:
    judged = [(*row, flagged) for row in rows]
    found: Sequence[asyncpg.Record] = await pool.fetch(SQL["assess"], *columns(judged, 4))
    return {str(row["key"]): row["seq"] for row in found}


async def test_an_assessment_moves_the_count_the_number_and_the_next_look(stand: Pipeline, pool: Pool) -> None:
    about = await stand.verification()
    assert await assess(pool, (about.verification_id, 1, 1)) == {str(about.verification_id): 2}
    row = await stand.row("SELECT sends_assessed, seq, due_at, expires_at, state FROM verifications")
    assert (row["sends_assessed"], row["seq"], row["state"]) == (1, 2, "requested")
    assert row["due_at"] == row["expires_at"]


async def test_the_same_assessment_again_changes_nothing(stand: Pipeline, pool: Pool) -> None:
    about = await stand.verification()
    await assess(pool, (about.verification_id, 1, 1))
    assert await assess(pool, (about.verification_id, 1, 1)) == {}
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 2


async def test_what_was_flagged_once_stays_so_whatever_its_next_send_looks_like(stand: Pipeline, pool: Pool) -> None:
    about = await stand.verification(sends_requested=3)
    seen = []
    for send_no, flagged in enumerate((False, True, False), start=1):
        await assess(pool, (about.verification_id, 1, send_no), flagged=flagged)
        seen.append((await stand.row("SELECT flagged FROM verifications"))["flagged"])
    assert seen == [False, True, True]


async def test_a_send_is_assessed_only_after_the_one_before_it(stand: Pipeline, pool: Pool) -> None:
    about = await stand.verification(sends_requested=2)
    assert await assess(pool, (about.verification_id, 1, 2)) == {}
    await assess(pool, (about.verification_id, 1, 1))
    assert await assess(pool, (about.verification_id, 1, 2)) == {str(about.verification_id): 3}


async def test_an_assessment_leaves_the_next_look_to_the_send_that_still_waits_for_its_own(
    stand: Pipeline, pool: Pool
) -> None:
    """The first send's took the second one's time-out away: where fraud was silent then, nothing was sent any more."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    about = await stand.verification(sends_requested=2, due_at=soon)
    await assess(pool, (about.verification_id, 1, 1))
    assert await stand.connection.fetchval("SELECT due_at FROM verifications") == soon
    await assess(pool, (about.verification_id, 1, 2))
    assert await stand.connection.fetchval("SELECT due_at = expires_at FROM verifications")


@pytest.mark.parametrize("state", sorted(State))
async def test_only_a_live_verification_is_assessed(stand: Pipeline, pool: Pool, state: State) -> None:
    ended: dict[str, Any] = {"ended_at": datetime.now(UTC), "due_at": None} if state in ENDED else {}
    about = await stand.verification(state=state.value, **ended)
    changed = await assess(pool, (about.verification_id, 1, 1))
    assert bool(changed) == (state in LIVE)


async def test_facts_are_read_under_lock_in_the_order_of_ids(stand: Pipeline, pool: Pool) -> None:
    about = [await stand.verification(number=f"+9198765432{n:02d}") for n in range(5)]
    ids = [each.verification_id for each in about]
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(SQL["facts"], list(reversed(ids)))
        assert [row["verification_id"] for row in rows] == sorted(ids)
        assert {(row["state"], row["sends_assessed"]) for row in rows} == {("requested", 0)}
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stand.connection.fetch("SELECT 1 FROM verifications FOR NO KEY UPDATE NOWAIT")
