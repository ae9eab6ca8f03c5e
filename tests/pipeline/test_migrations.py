"""The migration runner on a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.support.postgres import Server, empty_database
from watchword.runtime.migrations import MigrationError, level, migrate


@pytest_asyncio.fixture
async def dsn(database_server: Server) -> AsyncIterator[str]:
    async with empty_database(database_server) as bare:
        yield bare.dsn


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_pre_letters.sql").write_text("CREATE TABLE letters (letter text);")
    (tmp_path / "0002_pre_first.sql").write_text("INSERT INTO letters VALUES ('a'); INSERT INTO letters VALUES ('b');")
    return tmp_path


async def fetch(dsn: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return [row[0] for row in await connection.fetch(query, timeout=5)]
    finally:
        await connection.close(timeout=5)


async def test_a_new_database_is_brought_to_the_expected_level(dsn: str, migrations: Path) -> None:
    assert await level(dsn) == 0
    assert await migrate(dsn, migrations) == ["0001_pre_letters", "0002_pre_first"]
    assert await level(dsn) == 2
    assert await fetch(dsn, "SELECT letter FROM letters ORDER BY letter") == ["a", "b"]


async def test_a_second_start_applies_nothing_and_a_later_one_only_what_is_new(dsn: str, migrations: Path) -> None:
    await migrate(dsn, migrations)
    assert await migrate(dsn, migrations) == []
    (migrations / "0003_post_last.sql").write_text("DELETE FROM letters WHERE letter = 'a';")
    assert await migrate(dsn, migrations) == ["0003_post_last"]
    assert await fetch(dsn, "SELECT letter FROM letters") == ["b"]


async def test_a_changed_file_is_refused_and_nothing_after_it_is_applied(dsn: str, migrations: Path) -> None:
    await migrate(dsn, migrations)
    (migrations / "0002_pre_first.sql").write_text("INSERT INTO letters VALUES ('z');")
    (migrations / "0003_pre_more.sql").write_text("INSERT INTO letters VALUES ('c');")
    with pytest.raises(MigrationError, match=r"0002_pre_first\.sql has changed"):
        await migrate(dsn, migrations)
    assert await level(dsn) == 2
    assert await fetch(dsn, "SELECT letter FROM letters ORDER BY letter") == ["a", "b"]


@pytest.mark.parametrize("mistake", ["SELECT 1/0", "DROP TABLE schema_migrations"], ids=["fails", "cannot_be_recorded"])
async def test_a_file_that_fails_leaves_no_trace_and_those_before_it_stay(
    dsn: str, migrations: Path, mistake: str
) -> None:
    (migrations / "0003_pre_wrong.sql").write_text(f"INSERT INTO letters VALUES ('c'); {mistake};")
    with pytest.raises(MigrationError, match=r"0003_pre_wrong\.sql: "):
        await migrate(dsn, migrations)
    assert await level(dsn) == 2
    assert await fetch(dsn, "SELECT letter FROM letters ORDER BY letter") == ["a", "b"]


async def test_many_starts_at_once_apply_each_migration_once(dsn: str, migrations: Path) -> None:
    (migrations / "0003_pre_slow.sql").write_text("SELECT pg_sleep(0.2);")
    answers = await asyncio.gather(*(migrate(dsn, migrations) for _ in range(8)))
    assert sorted(map(len, answers)) == [0, 0, 0, 0, 0, 0, 0, 3]
    assert await fetch(dsn, "SELECT letter FROM letters ORDER BY letter") == ["a", "b"]
