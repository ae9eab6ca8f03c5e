"""Each process under its own login, as deploy/postgres/roles.sql makes it: what it may, and what it may not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.support import postgres
from tests.support.installation import ROLES, Installation, installed
from watchword import flow
from watchword.blueprint.workloads import OPERATORS, login_of, workloads
from watchword.callbacks import redelivery
from watchword.dead.dealing import ledger
from watchword.erasure.erasing import erase
from watchword.fraud import lifting, rulesets
from watchword.fraud.decide.rules import DEFAULT
from watchword.gateways.catalog import ALL
from watchword.kernel.secret import Phone
from watchword.operations.databases import database
from watchword.operations.refusals import WHICH_LOGIN, of_postgres
from watchword.receipts import remapping
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.migrations import expected_level, level
from watchword.runtime.postgres import connect, role_of

ROLE_OF = {load.name: load.role for load in workloads()} | {name: role_of(name) for name in OPERATORS}
REFUSED = asyncpg.InsufficientPrivilegeError

# One statement that a process needs, and one that would be another's work.
STATEMENTS = {
    "intake": ("SELECT count(*) FROM subjects", "SELECT sealed FROM codes"),
    "fraud": ("SELECT count(*) FROM verifications", "SELECT mac FROM codes"),
    "judge": ("SELECT count(*) FROM configuration", "SELECT hash FROM api_keys"),
    "codes": ("SELECT count(*) FROM codes", "SELECT wrapped_key FROM subjects"),
    "dispatch": ("SELECT count(*) FROM subjects", "UPDATE codes SET mac = ''"),
    "receipts": ("SELECT count(*) FROM attempts", "SELECT sealed FROM codes"),
    "checks": ("SELECT count(*) FROM codes", "SELECT wrapped_key FROM subjects"),
    "timers": ("SELECT ensure_partitions(clock_timestamp())", "SELECT wrapped_key FROM subjects"),
    "callbacks": ("SELECT count(*) FROM callback_deliveries", "SELECT number_sealed FROM verifications"),
    "operator": ("SELECT count(*) FROM dead_letter_actions", "SELECT sealed FROM codes"),
    "audit": ("SELECT count(*) FROM codes", "DELETE FROM outbox"),
}


# What would give somebody away or give something away, and the only ones who may do it. An auditor reads everything and
# opens nothing: it holds no key.
TRIED = {
    "SELECT mac FROM codes": {"codes", "checks", "dispatch", "audit"},
    "SELECT sealed FROM codes": {"codes", "checks", "dispatch", "audit"},
    "SELECT wrapped_key FROM subjects": {"intake", "dispatch", "audit"},
    "SELECT hash FROM api_keys": {"intake", "checks", "audit"},
    "SELECT answer FROM idempotency": {"intake", "timers", "audit"},
    "SELECT tat FROM limits": {"intake", "checks", "timers", "audit"},
    "UPDATE limits SET tat = now()": {"intake", "checks", "timers"},
    "INSERT INTO verifications DEFAULT VALUES": {"intake"},
    "INSERT INTO codes DEFAULT VALUES": {"codes"},
    "INSERT INTO subjects DEFAULT VALUES": {"intake"},
    "INSERT INTO erasures DEFAULT VALUES": {"operator"},
    "DELETE FROM subjects": {"timers", "operator"},
    "DELETE FROM idempotency": {"intake", "timers"},
    "SELECT load_ruleset('live', '{}', 'mine')": {"operator"},
    **dict.fromkeys(
        [
            "UPDATE codes SET mac = ''",
            "UPDATE codes SET sealed = ''",
            "UPDATE subjects SET wrapped_key = ''",
            "UPDATE api_keys SET tenant = 'mine'",
            "UPDATE configuration SET document = '{}'",
            "INSERT INTO api_keys DEFAULT VALUES",
            "INSERT INTO configuration DEFAULT VALUES",
            "DELETE FROM verifications",
            "DELETE FROM codes",
            "DELETE FROM attempts",
            "DELETE FROM api_keys",
            "DELETE FROM erasures",
            "TRUNCATE limits",
            "TRUNCATE outbox",
            "ALTER TABLE verifications DISABLE TRIGGER ALL",
            "DROP TABLE codes",
            "CREATE TABLE mine ()",
            "CREATE ROLE mine",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY codes TO PROGRAM 'cat'",
            "SELECT passwd FROM pg_shadow",
        ],
        frozenset[str](),
    ),
}


@pytest_asyncio.fixture(scope="module")
async def installation(
    database_server: postgres.Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """A database with roles, logins and every migration, owned by who rolls versions out."""
    async with installed(database_server, tmp_path_factory.mktemp("installation")) as made:
        yield made


def test_every_process_of_the_map_is_tried() -> None:
    assert set(STATEMENTS) == {worker.name for worker in flow.WORKERS} | set(OPERATORS)


@pytest.mark.parametrize("process", STATEMENTS)
async def test_a_process_does_its_own_work_and_no_other(installation: Installation, process: str) -> None:
    allowed, refused = STATEMENTS[process]
    assert await level(installation.login(process)) == expected_level()
    pool = await connect(installation.login(process), worker=ROLE_OF[process].removeprefix("watchword_"))
    try:
        assert await pool.fetchval("SELECT current_user") == ROLE_OF[process]
        await pool.fetchval(allowed)
        with pytest.raises((REFUSED, asyncpg.ReadOnlySQLTransactionError)):
            await pool.execute(refused)
    finally:
        await pool.close()


@pytest.mark.parametrize("process", STATEMENTS)
async def test_nobody_does_what_would_give_something_away_but_who_must(
    installation: Installation, process: str
) -> None:
    """Every process tries everything, in the role it acts under; what it was let do is taken back."""
    pool = await connect(installation.login(process), worker=ROLE_OF[process].removeprefix("watchword_"))
    done = set()
    try:
        async with pool.acquire() as connection:
            for statement in TRIED:
                if await _lets(connection, statement):
                    done.add(statement)
    finally:
        await pool.close()
    assert done == {statement for statement, allowed in TRIED.items() if process in allowed}


async def _lets(connection: Any, statement: str) -> bool:
    """Whether the role has the right. That a row lacks what it needs is found after the right to write it."""
    attempt = connection.transaction(readonly=False)
    await attempt.start()
    try:
        await connection.execute(statement)
    except (REFUSED, asyncpg.ReadOnlySQLTransactionError):
        return False
    except asyncpg.IntegrityConstraintViolationError:
        return True
    finally:
        await attempt.rollback()
    return True


async def test_an_operator_s_login_and_keyring_suffice_for_an_operator_s_commands(installation: Installation) -> None:
    dsn, keyring = installation.login("operator"), Path(installation.settings("operator")["keyring"])
    assert await rulesets.load(dsn, "shadow", DEFAULT) == 1
    assert await rulesets.load(dsn, "shadow", None) == 2
    assert await lifting.lifts(dsn) == []
    assert await erase(dsn, Keyring.load(keyring, {Purpose.NUMBER_TOKEN}), Phone("+919876543210"), "", None) == []
    async with ledger(dsn) as kept:
        assert await kept.done() == []
    found = await database(dsn, str(keyring), ALL)
    assert {(each.check, each.told) for each in found if not each.ok} == {
        ("routes", "there are none: nothing can be sent")
    }


async def test_whoever_asks_with_a_worker_s_login_is_told_which_one_may(installation: Installation) -> None:
    with pytest.raises(REFUSED) as refused:
        await rulesets.load(installation.login("codes"), "live", DEFAULT)
    assert of_postgres(refused.value)[1] == f"use the login that may: {WHICH_LOGIN}"
    [finding] = await database(installation.login("codes"), "/nowhere", ALL)
    assert not finding.ok and "permission denied" in finding.told and "start Postgres" not in finding.fix
    nobody = installation.login("operator").replace("watchword_login_operator", "watchword_login_nobody")
    [finding] = await database(nobody, "/nowhere", ALL)
    assert not finding.ok and "refuses the login" in finding.told


async def test_who_owns_a_report_or_a_delivery_deals_with_it(installation: Installation) -> None:
    for worker, ask in (("receipts", remapping.unmapped), ("callbacks", _deliveries)):
        pool = await connect(installation.login(worker), worker=worker, connections_max=1)
        try:
            assert not await ask(pool)
        finally:
            await pool.close()


async def _deliveries(pool: Any) -> int:
    return (await redelivery.redeliver_event(pool, UUID(int=1), dry_run=True)).again


@pytest.mark.parametrize("process", [worker.name for worker in flow.WORKERS])
async def test_a_login_of_a_worker_is_nothing_but_its_role(installation: Installation, process: str) -> None:
    connection = await asyncpg.connect(installation.login(process), timeout=10)
    try:
        with pytest.raises(REFUSED):
            await connection.fetchval("SELECT count(*) FROM verifications")
        for role in sorted(set(ROLE_OF.values()) - {ROLE_OF[process]}):
            with pytest.raises(REFUSED):
                await connection.execute(f"SET ROLE {role}")
    finally:
        await connection.close()


async def test_an_auditor_reads_every_table_and_cannot_write_even_by_asking(installation: Installation) -> None:
    connection = await asyncpg.connect(installation.login("audit"), timeout=10)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert len(tables) >= 12
        for table in tables:
            await connection.fetchval(f'SELECT count(*) FROM "{table["tablename"]}"')
        await connection.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM outbox", "UPDATE verifications SET seq = 1", "CREATE TABLE mine ()"):
            with pytest.raises(REFUSED):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_roles_and_migrations_name_the_same_roles(installation: Installation) -> None:
    connection = await asyncpg.connect(installation.dsn, timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolbypassrls OR rolreplication AS mighty "
            "FROM pg_roles WHERE rolname LIKE 'watchword\\_%'"
        )
        granted = await connection.fetch(
            "SELECT DISTINCT grantee FROM information_schema.role_table_grants WHERE grantee LIKE 'watchword\\_%'"
        )
    finally:
        await connection.close()
    assert {row["rolname"] for row in rows if not row["rolcanlogin"]} == set(ROLE_OF.values())
    assert {row["rolname"] for row in rows if row["rolcanlogin"]} == {*map(login_of, ROLE_OF), "watchword_owner"}
    assert not [row["rolname"] for row in rows if row["mighty"]]
    assert {row["grantee"] for row in granted} == {*ROLE_OF.values(), "watchword_owner"}


async def test_running_the_roles_again_changes_nothing(installation: Installation) -> None:
    memberships = (
        "SELECT roleid::regrole::text AS role, member::regrole::text AS login, inherit_option, set_option "
        "FROM pg_auth_members WHERE member::regrole::text LIKE 'watchword_login%' ORDER BY 1, 2"
    )
    connection = await asyncpg.connect(installation.dsn, timeout=10)
    try:
        before = await connection.fetch(memberships)
        await connection.execute(Path(ROLES).read_text("utf-8"))
        assert await connection.fetch(memberships) == before
        assert len(before) == len(ROLE_OF)
    finally:
        await connection.close()
