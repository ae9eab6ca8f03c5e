"""The page of a list on real Postgres: what it reads is bounded, and found by index."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import attempt, issued, pool_of, tables
from watchword.intake import store
from watchword.intake.listing import ListQuery, window_of
from watchword.kernel.ids import attempt_id, attempt_span
from watchword.runtime.postgres import Connection, statements

SQL = statements("watchword.intake")
LAST = UUID(int=2**128 - 1)
CROWD = 500

# What a week of one tenant and another's look like side by side: copies of one row under ids of their own.
COPIES = """
INSERT INTO verifications
SELECT (jsonb_populate_record(NULL::verifications, to_jsonb(v) || jsonb_build_object(
    'id', overlay(v.id::text PLACING lpad(to_hex(n), 12, '0') FROM 25), 'tenant', $1::text, 'reference', $2::text))).*
FROM (SELECT * FROM verifications LIMIT 1) AS v, generate_series(1, $3::int) AS n
"""


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def connection(stand: Pipeline) -> AsyncIterator[Connection]:
    async with pool_of("intake", stand.dsn) as pool, pool.acquire() as made:
        yield made


def window(**asked: Any) -> store.Window:
    return window_of("shop", ListQuery(**asked), asked.pop("below", LAST))


async def crowded(stand: Pipeline) -> UUID:
    about = await stand.verification(reference="order-7")
    await stand.connection.execute(COPIES, "other", "order-7", CROWD)
    return about.verification_id


async def test_a_page_that_looked_at_all_it_may_goes_on_where_it_ended(stand: Pipeline, connection: Connection) -> None:
    """However rare what is asked for: no page costs more than its bound."""
    abouts = [await stand.verification(number=f"+9198765432{n:02d}") for n in range(5)]
    none = await store.page(connection, window(status="expired"), looked_at_max=2)
    assert (none.rows, none.goes_on_below) == ((), abouts[3].verification_id)
    rest = window_of("shop", ListQuery(status="expired"), abouts[1].verification_id)
    last = await store.page(connection, rest, looked_at_max=2)
    assert (last.rows, last.goes_on_below) == ((), None)


@pytest.mark.parametrize(("name", "index"), [("page", "tenant_id"), ("page_of_reference", "tenant_reference_id")])
async def test_a_page_is_found_by_its_index_and_reads_nobody_elses_rows(
    stand: Pipeline, connection: Connection, name: str, index: str
) -> None:
    await crowded(stand)
    asked = window(reference="order-7" if "reference" in name else "")
    nodes = await plan(connection, name, asked)
    scans = [
        node for node in nodes if "Scan" in node["Node Type"] and "verifications_" in node.get("Relation Name", "")
    ]
    used = {node["Index Name"] for node in scans}
    assert any(each.endswith(f"_{index}_idx") for each in used), used
    assert sum(node.get("Rows Removed by Filter", 0) for node in nodes) == 0
    assert {node["Actual Rows"] for node in scans if node["Actual Loops"]} <= {0, 1}


async def test_weeks_outside_the_times_are_not_opened(stand: Pipeline, connection: Connection) -> None:
    await crowded(stand)
    now = datetime.now(UTC)
    assert await opened_weeks(connection, window(from_=now - timedelta(minutes=5), to=now)) <= 2
    assert await opened_weeks(connection, window(to=now - timedelta(days=300))) == 0
    assert await opened_weeks(connection, window()) > 2


async def opened_weeks(connection: Connection, asked: store.Window) -> int:
    """How many partitions the list is looked for in."""
    nodes = await plan(connection, "page", asked)
    return sum(node.get("Index Name", "").endswith("_tenant_id_idx") and node["Actual Loops"] > 0 for node in nodes)


async def test_the_look_for_outcomes_sees_attempts_of_the_newest_send_and_endings(
    stand: Pipeline, connection: Connection
) -> None:
    waits, tried, older, ended = [await issued(stand, number=f"+91987654321{n}") for n in range(4)]
    await attempt(stand, waits, state="sending")
    await attempt(stand, tried, state="deferred")
    await attempt(stand, older, state="accepted")
    await stand.connection.execute("UPDATE verifications SET sends_requested = 2 WHERE id = $1", older.verification_id)
    await stand.connection.execute(
        "UPDATE verifications SET state = 'expired', ended_at = clock_timestamp() WHERE id = $1", ended.verification_id
    )
    asked = {each.verification_id for each in (waits, tried, older, ended)}
    assert await store.tried(connection, asked) == {tried.verification_id, ended.verification_id}


async def test_every_attempt_lies_within_the_span_of_its_verification(stand: Pipeline) -> None:
    about = await issued(stand)
    first, last = attempt_span(about.verification_id)
    for send_no in range(1, 11):
        assert first <= attempt_id(about.verification_id, send_no, 1) <= last


async def plan(connection: Connection, name: str, asked: store.Window) -> list[dict[str, Any]]:
    """The nodes of the statement's plan, carried out as a prepared statement's is in the long run."""
    given = [asked.tenant, asked.floor, asked.below, 2_000, list(asked.states), asked.created_from,
             asked.created_to, 21, *([asked.reference] if asked.reference else [])]  # fmt: skip
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    async with connection.transaction():
        await connection.execute(SQL["weeks_left_out"])
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {SQL[name]}", *given)
    return list(_nodes(orjson.loads(told)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
