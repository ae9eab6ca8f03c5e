"""What timers make of attempts that no carrier told the end of, on a real Postgres under their own role."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import attempt, issued, pool_of, silent_teller, tables
from watchword.runtime import outbox
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.metrics import Metrics
from watchword.timers.decide import decide_unreported
from watchword.timers.metrics import TimersMetrics
from watchword.timers.overdue import Kind, Means, Overdue
from watchword.timers.store import SQL, unreported_of

PAST = datetime.now(UTC) - timedelta(minutes=10)
JUST_NOW = datetime.now(UTC) - timedelta(seconds=1)


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def means(stand: Pipeline) -> AsyncIterator[Means]:
    async with pool_of("timers", stand.dsn) as pool:
        yield Means(pool, DatabaseClock(pool), silent_teller("timers", pool), TimersMetrics(Metrics()))


def silent(means: Means) -> Overdue[Any]:
    return Overdue(Kind("unreported_attempts", SQL["unreported"], (200,), unreported_of, decide_unreported), means)


async def told(stand: Pipeline) -> list[tuple[str, str, int]]:
    """Every event in the outbox: name, topic, number."""
    rows = await stand.connection.fetch("SELECT topic, headers FROM outbox")
    read = [(row["topic"], {name: value.decode() for name, value in outbox.unpack(row["headers"])}) for row in rows]
    return sorted((one["ce_type"], topic, int(one.get("ce_sequence", 0))) for topic, one in read)


async def test_an_attempt_without_a_receipt_becomes_unknown_once_and_a_later_report_still_counts(
    stand: Pipeline, means: Means
) -> None:
    about = await issued(stand, expires_at=PAST)
    due_at: dict[str, Any] = {"state": "accepted", "account": "echo-1", "receipt_due_at": JUST_NOW}
    await attempt(stand, about, **due_at)
    await attempt(stand, about, try_no=2, **(due_at | {"receipt_due_at": datetime.now(UTC) + timedelta(minutes=1)}))
    for _ in range(2):
        await silent(means).turn()
    rows = await stand.connection.fetch("SELECT receipt_state, receipt_rank, receipt_at FROM attempts ORDER BY try_no")
    assert [tuple(row) for row in rows] == [("unknown", 40, None), (None, 0, None)]
    assert await told(stand) == [("otp.receipt-recorded.v1", "otp.lifecycle.v1", 4)]


async def test_a_right_code_implies_that_its_only_message_arrived(stand: Pipeline, means: Means) -> None:
    about = await issued(stand, state="approved", ended_at=PAST, due_at=None)
    await attempt(stand, about, state="accepted", account="echo-1", receipt_due_at=JUST_NOW, receipt_state="rejected",
                  receipt_rank=60)  # fmt: skip
    await silent(means).turn()
    row = await stand.row("SELECT receipt_state, receipt_rank, receipt_due_at FROM attempts")
    assert tuple(row) == ("delivered_implied", 80, None)


async def test_several_attempts_of_one_verification_are_each_told_under_a_number_of_their_own(
    stand: Pipeline, means: Means
) -> None:
    about = await issued(stand)
    for number in (1, 2, 3):
        await attempt(stand, about, try_no=number, state="accepted", account="echo-1", receipt_due_at=JUST_NOW)
    for _ in range(3):
        await silent(means).turn()
    assert [number for *_, number in await told(stand)] == [4, 5, 6]
