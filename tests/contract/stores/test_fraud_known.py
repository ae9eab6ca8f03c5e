"""Which numbers are known users', on real Postgres: remembered and forgotten by fraud, asked by fraud and intake."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import pool_of
from watchword.kernel.feature import KNOWN_FOR
from watchword.runtime.known import known
from watchword.runtime.postgres import Pool, columns, statements

ROLE = "fraud"

SQL = statements("watchword.fraud")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


async def made(stand: Pipeline, *tokens: str, age: timedelta = DAY * 200) -> None:
    """Numbers of the tenant, their data keys made so long ago."""
    for token in tokens:
        await stand.connection.execute(
            "INSERT INTO subjects (tenant, number_token, wrapped_key, created_at) VALUES ('shop', $1, '', $2)",
            token, datetime.now(UTC) - age,
        )  # fmt: skip


async def remember(pool: Pool, *verified: tuple[str, datetime]) -> set[str]:
    """The keys of those that were written."""
    rows = [(f"shop/{token}", 0, "shop", token, requested_at) for token, requested_at in verified]
    return {row["key"] for row in await pool.fetch(SQL["remember_verified"], *columns(rows, 5))}


async def asked(pool: Pool, *tokens: str) -> set[str]:
    async with pool.acquire() as connection:
        return {token for _, token in await known(connection, [("shop", token) for token in tokens])}


async def test_a_number_is_known_for_ninety_days_to_its_own_tenant(stand: Pipeline, pool: Pool) -> None:
    now = datetime.now(UTC)
    await made(stand, "fresh", "fading", "over", "never")
    await remember(pool, ("fresh", now), ("fading", now - KNOWN_FOR + MINUTE), ("over", now - KNOWN_FOR - MINUTE))
    for worker in ("fraud", "intake"):
        async with pool_of(worker, stand.dsn) as own:
            assert await asked(own, "fresh", "fading", "over", "never", "stranger", "fresh") == {"fresh", "fading"}
            async with own.acquire() as connection:
                assert await known(connection, [("other", "fresh")]) == await known(connection, []) == frozenset()


async def test_the_newest_of_a_batch_counts_and_a_day_is_near_enough(stand: Pipeline, pool: Pool) -> None:
    now = datetime.now(UTC)
    await made(stand, "a")
    assert await remember(pool, ("a", now - DAY * 2), ("a", now - DAY * 3), ("nobody", now)) == {"shop/a"}
    assert await remember(pool, ("a", now - DAY * 2), ("a", now - DAY - MINUTE)) == set(), "repeats write nothing"
    assert await remember(pool, ("a", now)) == {"shop/a"}
    assert await stand.connection.fetchval("SELECT verified_at FROM subjects") == now


async def test_who_was_erased_is_known_by_nothing_that_went_before(stand: Pipeline, pool: Pool) -> None:
    """The ending of a code that was asked for before the erasure comes after it, and the number is there again."""
    now = datetime.now(UTC)
    await made(stand, "a", age=MINUTE * 10)
    await remember(pool, ("a", now - MINUTE * 10))
    assert await asked(pool, "a") == {"a"}
    await stand.connection.execute("DELETE FROM subjects")
    await made(stand, "a", age=MINUTE)
    assert await asked(pool, "a") == set()
    assert await remember(pool, ("a", now - MINUTE * 3)) == set()
    assert await remember(pool, ("a", now - MINUTE)) == {"shop/a"}


async def test_a_user_who_is_disowned_is_known_no_more_until_the_next_code(stand: Pipeline, pool: Pool) -> None:
    now = datetime.now(UTC)
    await made(stand, "a", "b")
    await remember(pool, ("a", now), ("b", now))
    for forgotten in ({"shop/a"}, set()):
        found = await pool.fetch(SQL["forget_verified"], ["shop/a"], [0], ["shop"], ["a"])
        assert {row["key"] for row in found} == forgotten
    assert await asked(pool, "a", "b") == {"b"}
    await remember(pool, ("a", now))
    assert await asked(pool, "a", "b") == {"a", "b"}


async def test_fraud_writes_when_and_reads_no_key(pool: Pool) -> None:
    for refused in ("SELECT wrapped_key FROM subjects", "UPDATE subjects SET created_at = now()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(refused)
