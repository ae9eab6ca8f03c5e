"""One look at everything that may be overdue, on a real Postgres under the role of timers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from uuid import uuid4

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued
from tests.support.waiting import eventually
from watchword.runtime import outbox
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Pool
from watchword.timers.looking import PATIENCE_S, Looking
from watchword.timers.store import SQL

ROLE = "timers"

PAST = datetime.now(UTC) - timedelta(minutes=10)


async def looked(pool: Pool) -> dict[str, Any]:
    """What a look at everything answers."""
    often = await pool.fetchrow(SQL["overdue_often"], timedelta(seconds=3))
    seldom = await pool.fetchrow(SQL["overdue_seldom"], timedelta(seconds=5), 2_000)
    return {**dict(often or {}), **dict(seldom or {})}


async def test_a_look_says_of_each_kind_whether_its_turn_would_find_anything(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    later = datetime.now(UTC) + timedelta(seconds=9)
    claimed = await attempt(stand, about, state="sending", owner="d-1", lease_until=later)
    waiting = await attempt(stand, about, try_no=2, send_deadline=later)
    told = await attempt(stand, about, try_no=3, state="accepted", receipt_due_at=later)
    await stand.connection.execute(
        "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until) "
        "VALUES ('r/0', 'echo-0', '', 'm-1', '', $1)",
        later,
    )
    async with pool.acquire() as connection:
        await outbox.store(connection, [OutboxRow(uuid4(), "otp.lifecycle.v1", b"k", b"{}", ())])
    quiet = await looked(pool)
    assert 0 <= quiet.pop("outbox_age_s") < 3
    assert not any(quiet.values())
    over = {
        "due_verifications": ("UPDATE verifications SET due_at = $1", ()),
        "stale_claims": ("UPDATE attempts SET lease_until = $1 WHERE id = $2", (claimed,)),
        "abandoned_attempts": ("UPDATE verifications SET state = 'cancelled', ended_at = $1, due_at = NULL", ()),
        "late_attempts": ("UPDATE attempts SET send_deadline = $1 WHERE id = $2", (waiting,)),
        "unreported_attempts": ("UPDATE attempts SET receipt_due_at = $1 WHERE id = $2", (told,)),
        "parked_receipts": ("UPDATE receipts_parked SET parked_until = $1", ()),
        "late_outbox": ("UPDATE outbox SET created_at = $1", ()),
    }
    for kind, (sql, arguments) in over.items():
        assert not (await looked(pool))[kind], kind
        await stand.connection.execute(sql, PAST, *arguments)
        assert (await looked(pool))[kind], kind


async def test_a_kind_that_takes_long_or_fails_holds_up_no_other(pool: Pool) -> None:
    begun, stuck = {"stuck": 0, "failing": 0, "quick": 0, "idle": 0}, asyncio.Event()
    answers: list[Mapping[str, Any]] = []

    def counted(kind: str) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            begun[kind] += 1
            if kind == "failing":
                raise ConnectionResetError
            if kind == "stuck":
                await stuck.wait()

        return turn

    question = "SELECT true AS stuck, true AS failing, true AS quick, $1::boolean AS idle"
    turns = {kind: counted(kind) for kind in begun}
    looking = Looking(question, (False,), turns, pool=pool, tell=answers.append, pause_s=0.01)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await looking.start()
    await eventually(lambda: _true(begun["quick"] > 5), within_s=10, what="six quick turns")
    stuck.set()
    await looking.stop()
    waits = ceil((loop.time() - started_s) / PATIENCE_S)  # the loop's clock stands still within a turn
    assert 1 <= begun["failing"] <= 1 + waits, "one that failed is waited out"
    assert begun["idle"] == 0, "one of nothing never begins"
    assert begun["stuck"] < begun["quick"]
    assert answers[0] == {"stuck": True, "failing": True, "quick": True, "idle": False}


async def _true(told: bool) -> bool:
    return told
