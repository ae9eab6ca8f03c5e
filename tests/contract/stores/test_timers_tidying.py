"""What timers forget and make room for, on a real Postgres under their own role."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import pool_of
from watchword.intake import store as intake_store
from watchword.runtime.metrics import Metrics
from watchword.runtime.postgres import Pool
from watchword.timers.metrics import TimersMetrics
from watchword.timers.settings import TimersSettings
from watchword.timers.store import SQL
from watchword.timers.tidying import Tidying

ROLE = "timers"


async def test_what_has_had_its_time_is_forgotten_and_the_rest_is_kept(stand: Pipeline, pool: Pool) -> None:
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    for key, age, limit_age in (
        ("old", timedelta(hours=24) + minute, timedelta(hours=1) + minute),
        ("new", timedelta(hours=24) - minute, timedelta(hours=1) - minute),
    ):
        await stand.connection.execute(
            "INSERT INTO idempotency (tenant, key, fingerprint, status, answer, created_at) "
            "VALUES ('shop', $1, '', 202, '', $2)", key, now - age,
        )  # fmt: skip
        await stand.connection.execute("INSERT INTO limits VALUES ($1, $2)", key, now - limit_age)
        await stand.connection.execute(
            "INSERT INTO receipts_unmapped VALUES ($1, 'a', 'g', 'w', '', $2)", key, now - age - timedelta(days=6)
        )
    metrics = TimersMetrics(Metrics())
    await Tidying(TimersSettings.load(), pool=pool, metrics=metrics).turn()
    for table in ("idempotency", "limits"):
        assert [row["key"] for row in await stand.connection.fetch(f"SELECT key FROM {table}")] == ["new"]
    assert [row["id"] for row in await stand.connection.fetch("SELECT id FROM receipts_unmapped")] == ["new"]


async def numbered(stand: Pipeline, token: str, **pointers: datetime | None) -> None:
    """A number with its key and, by purpose, the time of its newest verification."""
    await stand.connection.execute(
        "INSERT INTO subjects (tenant, number_token, wrapped_key) VALUES ('shop', $1, 'old')", token
    )
    for purpose, at in pointers.items():
        await stand.connection.execute(
            "INSERT INTO latest_verifications VALUES ('shop', $1, $2, uuid_floor($3))", token, purpose, at
        )


async def tokens(stand: Pipeline, table: str) -> list[str]:
    return [row["number_token"] for row in await stand.connection.fetch(f"SELECT number_token FROM {table} ORDER BY 1")]


async def test_numbers_of_which_nothing_is_kept_are_forgotten_round_by_round(stand: Pipeline, pool: Pool) -> None:
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(days=60)
    await numbered(stand, "a-fresh", login=now)
    await numbered(stand, "b-old", login=old, pay=old)
    await numbered(stand, "c-both", login=old, pay=now)
    await numbered(stand, "d-none")
    await numbered(stand, "e-never", login=None)
    metrics = TimersMetrics(Metrics())
    rounds = Tidying(TimersSettings.load(), pool=pool, metrics=metrics, numbers_a_batch=2, number_batches=1)
    await rounds.turn()
    assert await tokens(stand, "subjects") == ["a-fresh", "c-both", "d-none", "e-never"]
    for _ in range(2):
        await rounds.turn()
    assert await tokens(stand, "subjects") == ["a-fresh", "c-both"]
    assert await tokens(stand, "latest_verifications") == ["a-fresh", "c-both", "c-both"]


async def test_a_known_users_number_is_kept_for_as_long_as_it_is_known(stand: Pipeline, pool: Pool) -> None:
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(days=100)
    for token, verified_at in (("a-known", now - timedelta(days=89)), ("b-over", now - timedelta(days=91))):
        await numbered(stand, token, login=old)
        await stand.connection.execute(
            "UPDATE subjects SET verified_at = $2 WHERE number_token = $1", token, verified_at
        )
    settings, metrics = TimersSettings.load(), TimersMetrics(Metrics())
    await Tidying(settings, pool=pool, metrics=metrics).turn()
    assert await tokens(stand, "subjects") == ["a-known"]
    await Tidying(settings.model_copy(update={"known_d": 60}), pool=pool, metrics=metrics).turn()
    assert await tokens(stand, "subjects") == await tokens(stand, "latest_verifications") == []


async def test_a_number_that_becomes_known_while_it_is_forgotten_stays(stand: Pipeline, pool: Pool) -> None:
    await numbered(stand, "a")
    await stand.connection.execute("UPDATE subjects SET verified_at = now()")
    await pool.execute(SQL["forget_numbers"], ["shop"], ["a"], timedelta(days=90))
    assert await tokens(stand, "subjects") == ["a"]


async def test_a_number_that_comes_back_while_it_is_forgotten_has_a_key_in_the_end(stand: Pipeline, pool: Pool) -> None:
    """Whoever uses it is passed by; whoever comes while it is being deleted waits, and makes a new key."""
    old = datetime.now(UTC) - timedelta(days=60)
    await numbered(stand, "a", login=old)
    subject, timers = ("shop", "a"), Tidying(TimersSettings.load(), pool=pool, metrics=TimersMetrics(Metrics()))
    async with pool_of("intake", stand.dsn) as own, own.acquire() as starting:
        async with starting.transaction():
            assert await intake_store.subjects(starting, {subject: b"new"}) == {subject: b"old"}
            await timers.turn()
        assert await tokens(stand, "subjects") == ["a"]
        async with stand.connection.transaction():
            await stand.connection.execute("DELETE FROM subjects")
            waiting = asyncio.ensure_future(intake_store.subjects(starting, {subject: b"new"}))
            await asyncio.wait({waiting}, timeout=0.2)
            assert not waiting.done()
        assert await waiting == {subject: b"new"}


async def test_timers_delete_data_keys_and_cannot_read_one(pool: Pool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("SELECT wrapped_key FROM subjects")


OLD_WEEK = (
    "CREATE TABLE {} PARTITION OF verifications FOR VALUES FROM ('f0000000-0000-0000-0000-000000000000') TO "
    "('ffffffff-0000-0000-0000-000000000000')"
)
READERS_WAIT_MAX_S = 2.0  # a moment, on a machine that does much else; it was four seconds, then one of rest, and again


async def test_weeks_past_retention_are_dropped_and_weeks_to_come_are_there(stand: Pipeline, pool: Pool) -> None:
    old = datetime.now(UTC) - timedelta(days=60)
    name = f"verifications_{old:%G_%V}"
    await stand.connection.execute(OLD_WEEK.format(name))
    await Tidying(TimersSettings.load(), pool=pool, metrics=TimersMetrics(Metrics())).turn()
    assert await stand.connection.fetchval("SELECT to_regclass($1)", name) is None
    ahead = datetime.now(UTC) + timedelta(days=14)
    assert await stand.connection.fetchval("SELECT to_regclass($1)", f"verifications_{ahead:%G_%V}") is not None


async def test_while_a_backup_reads_nobody_waits_for_the_tidying(stand: Pipeline, pool: Pool) -> None:
    """It waited for the backup with everybody behind it, four seconds of every five until the backup ended. Weeks to
    come are made all the same, and the week that is past goes once nobody reads it."""
    old = f"verifications_{datetime.now(UTC) - timedelta(days=60):%G_%V}"
    ahead = f"verifications_{datetime.now(UTC) + timedelta(days=20):%G_%V}"
    await stand.connection.execute(OLD_WEEK.format(old))
    await stand.connection.execute(f"DROP TABLE {ahead}")
    loop, waited_s = asyncio.get_running_loop(), 0.0
    tidying = Tidying(TimersSettings.load(), pool=pool, metrics=TimersMetrics(Metrics()))
    async with stand.connection.transaction():
        await stand.connection.fetch("SELECT FROM verifications")
        turn = asyncio.ensure_future(tidying.turn())
        async with pool_of("intake", stand.dsn) as other:
            while not turn.done():
                began_s = loop.time()
                await other.fetch("SELECT FROM verifications LIMIT 1")
                waited_s = max(waited_s, loop.time() - began_s)
        await turn
        assert await stand.connection.fetchval("SELECT to_regclass($1)", old) is not None
        assert await stand.connection.fetchval("SELECT to_regclass($1)", ahead) is not None
    assert waited_s < READERS_WAIT_MAX_S
    await tidying.turn()
    assert await stand.connection.fetchval("SELECT to_regclass($1)", old) is None


DESCRIBED = """
SELECT concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage,
                 pg_get_expr(d.adbin, d.adrelid)) AS told
FROM pg_attribute AS a
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::regclass AND a.attnum > 0
UNION ALL
SELECT concat_ws(' ', 'constraint', conislocal, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid = $1::regclass
UNION ALL
SELECT concat_ws(' ', 'index', indisunique, indisprimary, substring(pg_get_indexdef(indexrelid) FROM ' USING .*'))
FROM pg_index WHERE indrelid = $1::regclass
UNION ALL
SELECT concat_ws(' ', 'table', reloptions, relpersistence, relispartition, relowner::regrole)
FROM pg_class WHERE oid = $1::regclass
ORDER BY told
"""


@pytest.mark.parametrize("parent", ["verifications", "codes", "attempts", "callback_deliveries"])
async def test_a_week_that_was_attached_is_like_one_that_was_created_in_its_place(stand: Pipeline, parent: str) -> None:
    await stand.connection.execute(
        f"CREATE TABLE in_place PARTITION OF {parent} FOR VALUES FROM ('f0000000-0000-0000-0000-000000000000') TO "
        "('ffffffff-0000-0000-0000-000000000000') WITH (fillfactor = 80)"
    )
    await stand.connection.fetchval("SELECT ensure_partitions(clock_timestamp() + interval '60 days')")
    week = f"{parent}_{datetime.now(UTC) + timedelta(days=56):%G_%V}"
    attached, created = [await stand.connection.fetch(DESCRIBED, name) for name in (week, "in_place")]
    assert attached == created
    assert len(attached) > 5


async def test_a_week_that_somebody_made_is_vacuumed_as_soon_as_the_others(stand: Pipeline, pool: Pool) -> None:
    await stand.connection.execute(
        "CREATE TABLE attempts_9999_01 PARTITION OF attempts FOR VALUES FROM ('f0000000-0000-0000-0000-000000000000') "
        "TO ('ffffffff-0000-0000-0000-000000000000')"
    )
    await Tidying(TimersSettings.load(), pool=pool, metrics=TimersMetrics(Metrics())).turn()
    lazy = (
        "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r' "
        "AND NOT coalesce(reloptions, '{}') @> ARRAY['autovacuum_vacuum_scale_factor=0.02']"
    )
    assert await stand.connection.fetch(lazy) == []
