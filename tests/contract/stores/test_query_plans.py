"""With a million verifications stored, no statement of a worker reads a large table or index from end to end.

Statements are planned as workers plan them, under their roles and settings, for arguments that are not known: a plan
that a connection keeps for as long as it lives.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bench.stored import Store
from tests.support import postgres
from tests.support.plans import MANY_ROWS, costly, plan_of, sizes
from tests.support.rows import pool_of
from watchword import runtime
from watchword.runtime import outbox
from watchword.runtime.postgres import statements

STORED = 1_000_000
WORKERS = ("intake", "fraud", "codes", "dispatch", "receipts", "checks", "timers", "callbacks")
LARGE = ("subjects", "latest_verifications", "limits", "idempotency")
# Each file of statements, and who asks them.
FILES = {
    **{f"{worker}/store.sql": worker for worker in WORKERS},
    "runtime/known.sql": "fraud",
    "fraud/lifting.sql": "operator",
    "erasure/store.sql": "operator",
    "dead/store.sql": "operator",
}
# Those that read everything, which is what they are for, and those about what was applied, which is never much.
EXCUSED = {
    "audit/store.sql", "replay/live.sql", "replay/sinks.sql", "runtime/configuration.sql", "runtime/migrations.sql",
}  # fmt: skip
PACKAGE = Path(runtime.__path__[0]).parent
SHARED = {"outbox.insert": outbox.INSERT, "outbox.settle": outbox.SETTLE_AND_INSERT, "outbox.delete": outbox.DELETE}


def test_every_file_of_statements_is_asked_or_excused() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.glob("*/*.sql") if path.parent.name != "migrations"}
    assert found == FILES.keys() | EXCUSED


@pytest_asyncio.fixture(scope="module")
async def used(
    database_server: postgres.Server, database_template: postgres.FreshDatabase
) -> AsyncIterator[postgres.FreshDatabase]:
    """A database that has been in use."""
    async with postgres.empty_database(database_server, template=database_template.name) as fresh:
        await Store(fresh.dsn, most=STORED).grow(STORED)
        yield fresh


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_what_is_large_is_known_to_be(used: postgres.FreshDatabase) -> None:
    async with pool_of("intake", used.dsn) as pool, pool.acquire() as connection:
        entries = await sizes(connection)
        by_country = await plan_of(connection, "SELECT id FROM verifications WHERE country = $1")
        by_age = await plan_of(connection, "SELECT key FROM idempotency WHERE fingerprint = $1")
    assert all(entries[table] > MANY_ROWS for table in LARGE)
    assert list(costly(by_country, entries)), "a scan of partitions is seen"
    assert list(costly(by_age, entries)), "and one of a table that has none"


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("file", FILES)
async def test_every_statement_finds_its_rows_by_key(used: postgres.FreshDatabase, file: str) -> None:
    room, _, name = file.partition("/")
    asked = {**statements(f"watchword.{room}", name), **SHARED}
    async with pool_of(FILES[file], used.dsn) as pool, pool.acquire() as connection:
        entries = await sizes(connection)
        found = {name: list(costly(await plan_of(connection, sql), entries)) for name, sql in asked.items()}
    assert {name: scans for name, scans in found.items() if scans} == {}
