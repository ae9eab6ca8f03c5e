"""`watchword apply` on a real database: versions, secrets, keys shown once; and workers that take it up."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
import pytest_asyncio

from tests.support.postgres import FreshDatabase
from tests.support.waiting import eventually
from watchword.runtime import api_keys, keyring
from watchword.runtime.apply import Applied, apply
from watchword.runtime.configuration import Configuration, ConfigurationWatch
from watchword.runtime.configuration_file import ConfigurationError
from watchword.runtime.health import Health
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.postgres import Pool, connect

FILE = """
[[tenants]]
id = "shop"
countries = ["IN"]

[[policies]]
id = "default"
tenant = "shop"
template = "default"

[[templates]]
id = "default"
tenant = "shop"
texts = {en = "{code} is your code"}

[[accounts]]
id = "alpha"
gateway = "echo"
url = "https://gateway.example"
secrets = {token = "hunter2"}

[[routes]]
id = "all"
country = "*"
accounts = ["alpha"]

[[routes]]
id = "india"
country = "IN"
accounts = ["alpha"]

[[api_keys]]
tenant = "shop"
name = "web"
scopes = ["start", "check"]
"""
ALL = frozenset(Purpose)

Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    keyring.create(tmp_path / "keyring.json", datetime(2026, 5, 1, tzinfo=UTC))
    return tmp_path / "keyring.json"


class Operator:
    """Somebody who applies files."""

    def __init__(self, database: FreshDatabase, keys: Path, directory: Path) -> None:
        self.dsn = database.dsn
        self.keys = keys
        self._file = directory / "shop.toml"

    async def applies(self, text: str, *, dry_run: bool = False, prune: bool = False) -> Applied:
        self._file.write_text(text)
        held = Keyring.load(self.keys, {Purpose.ACCOUNT})
        return await apply(self.dsn, self._file, keyring=held, gateways={"echo"}, dry_run=dry_run, prune=prune)


@pytest.fixture
def operator(database: FreshDatabase, keys: Path, tmp_path: Path) -> Operator:
    return Operator(database, keys, tmp_path)


@pytest_asyncio.fixture
async def pool(database: FreshDatabase) -> AsyncIterator[Pool]:
    made = await connect(database.dsn, worker="intake", connections_max=1)
    yield made
    await asyncio.wait_for(made.close(), 10)


@pytest_asyncio.fixture
async def admin(database: FreshDatabase) -> AsyncIterator[Admin]:
    made = await asyncpg.connect(database.dsn)
    yield made
    await made.close()


def actions(applied: Applied) -> set[tuple[str, str, str, int]]:
    return {(change.action, change.kind, change.id, change.version) for change in applied.changes}


async def current(pool: Pool, keys: Path, *, purposes: frozenset[Purpose] = ALL) -> Configuration:
    watch = ConfigurationWatch(pool, Keyring.load(keys, purposes), with_api_keys=True)
    await watch.refresh()
    return watch.current()


async def test_a_first_apply_creates_everything_and_a_second_changes_nothing(operator: Operator) -> None:
    first = await operator.applies(FILE)
    assert {change.action for change in first.changes} == {"created"}
    assert {change.version for change in first.changes if change.kind != "api_key"} == {1}
    again = await operator.applies(FILE)
    assert {change.action for change in again.changes} == {"unchanged"}
    assert again.new_keys == ()


async def test_a_changed_document_alone_gets_a_new_version(operator: Operator, pool: Pool, keys: Path) -> None:
    await operator.applies(FILE)
    before = await current(pool, keys)
    applied = await operator.applies(FILE.replace('template = "default"', 'template = "default"\ndigits = 8'))
    assert ("changed", "policy", "shop/default", 2) in actions(applied)
    assert sum(change.action != "unchanged" for change in applied.changes) == 1
    after = await current(pool, keys)
    assert (before.policy_version("shop", "default"), after.policy_version("shop", "default")) == (1, 2)
    policy = after.policy("shop", "default")
    assert policy is not None and policy.digits == 8
    assert after.serial > before.serial


async def test_a_worker_reads_what_was_applied(operator: Operator, pool: Pool, keys: Path) -> None:
    await operator.applies(FILE)
    found = await current(pool, keys)
    tenant, template, account = found.tenant("shop"), found.template("shop", "default"), found.account("alpha")
    assert tenant is not None and tenant.countries == ["IN"]
    assert template is not None and template.texts == {"en": "{code} is your code"}
    assert account is not None and account.secrets == {"token": "hunter2"}
    assert [route.id for route in found.routes_for("IN", "+91987654", "login")] == ["india", "all"]
    assert [route.id for route in found.routes_for("GB", "+44770090", "login")] == ["all"]
    assert found.policy("other", "default") is None and found.policy_version("other", "default") == 0


async def test_a_price_cap_is_held_against_accounts_that_stand_already(operator: Operator) -> None:
    await operator.applies(FILE)
    capped = """
[[routes]]
id = "india"
country = "IN"
accounts = ["alpha"]
price_max_micros = 2_000
"""
    with pytest.raises(ConfigurationError, match='"india" caps the price, and account "alpha" has no price_micros'):
        await operator.applies(capped)
    await operator.applies(
        FILE.replace('gateway = "echo"', 'gateway = "echo"\nprice_micros = 1_000\nprices = {"+91" = 900}')
    )
    assert ("changed", "route", "india", 2) in actions(await operator.applies(capped))


async def test_account_secrets_are_sealed_at_rest(operator: Operator, pool: Pool, keys: Path, admin: Admin) -> None:
    await operator.applies(FILE)
    text = str(await admin.fetch("SELECT document::text, digest FROM configuration"))
    assert "hunter2" not in text and base64.b64encode(b"hunter2").decode() not in text
    blind = await current(pool, keys, purposes=frozenset({Purpose.SENDING}))
    account = blind.account("alpha")
    assert account is not None and account.secrets == {}


async def test_a_changed_secret_and_a_rotated_key_make_a_new_version(
    operator: Operator, pool: Pool, keys: Path
) -> None:
    await operator.applies(FILE)
    applied = await operator.applies(FILE.replace("hunter2", "hunter3"))
    assert ("changed", "account", "alpha", 2) in actions(applied)
    keyring.rotate(keys, datetime(2026, 6, 1, tzinfo=UTC), [Purpose.ACCOUNT])
    keyring.promote(keys)
    applied = await operator.applies(FILE.replace("hunter2", "hunter3"))
    assert ("changed", "account", "alpha", 3) in actions(applied)
    account = (await current(pool, keys)).account("alpha")
    assert account is not None and account.secrets == {"token": "hunter3"}


async def test_an_account_sealed_with_a_lost_key_is_left_out_and_the_rest_stands(
    operator: Operator, pool: Pool, tmp_path: Path
) -> None:
    await operator.applies(FILE)
    keyring.create(tmp_path / "other.json", datetime(2026, 5, 1, tzinfo=UTC))
    found = await current(pool, tmp_path / "other.json")
    assert found.account("alpha") is None
    assert found.tenant("shop") is not None


async def test_a_dry_run_says_the_same_and_changes_nothing(operator: Operator, admin: Admin) -> None:
    told = await operator.applies(FILE, dry_run=True)
    assert await admin.fetchval("SELECT (SELECT count(*) FROM configuration) + (SELECT count(*) FROM api_keys)") == 0
    assert told.new_keys == () and told.dry_run
    assert actions(told) == actions(await operator.applies(FILE))


async def test_a_document_that_left_the_file_stays_unless_pruned(operator: Operator, pool: Pool, keys: Path) -> None:
    await operator.applies(FILE)
    without = FILE.replace('[[routes]]\nid = "india"\ncountry = "IN"\naccounts = ["alpha"]\n', "")
    await operator.applies(without)
    assert len((await current(pool, keys)).routes) == 2
    assert ("retired", "route", "india", 2) in actions(await operator.applies(without, prune=True))
    assert [route.id for route in (await current(pool, keys)).routes] == ["all"]
    assert ("changed", "route", "india", 3) in actions(await operator.applies(FILE))


async def test_a_file_may_build_on_what_was_applied_before(operator: Operator) -> None:
    await operator.applies(FILE)
    more = '[[policies]]\nid = "short"\ntenant = "shop"\ntemplate = "default"\n'
    assert ("created", "policy", "shop/short", 1) in actions(await operator.applies(more))
    with pytest.raises(ConfigurationError, match="unknown tenant"):
        await operator.applies(more, prune=True)


async def test_a_wrong_reference_changes_nothing(operator: Operator, admin: Admin) -> None:
    with pytest.raises(ConfigurationError, match='unknown account "beta"'):
        await operator.applies(FILE.replace('["alpha"]', '["beta"]'))
    assert await admin.fetchval("SELECT count(*) FROM configuration") == 0


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(
    operator: Operator, pool: Pool, keys: Path, admin: Admin
) -> None:
    (made,) = (await operator.applies(FILE)).new_keys
    assert api_keys.well_formed(made.key) and made.key.startswith("wwk_live_")
    row = await admin.fetchrow("SELECT * FROM api_keys")
    assert row is not None and row["last4"] == made.key[-4:] and made.key not in str(dict(row))
    known = (await current(pool, keys)).api_key(api_keys.hash_of(made.key))
    assert known is not None and (known.tenant, known.scopes) == ("shop", frozenset({"start", "check"}))


async def test_a_revoked_key_is_ended(operator: Operator, pool: Pool, keys: Path) -> None:
    (made,) = (await operator.applies(FILE)).new_keys
    ended = FILE.replace('name = "web"', 'name = "web"\nrevoked = true')
    assert ("revoked", "api_key", "shop/web", 0) in actions(await operator.applies(ended))
    assert {change.action for change in (await operator.applies(ended)).changes} == {"unchanged"}
    known = (await current(pool, keys)).api_key(api_keys.hash_of(made.key))
    assert known is not None and not known.usable(datetime.now(UTC))


async def test_two_operators_at_once_make_one_history(operator: Operator, admin: Admin) -> None:
    both = await asyncio.gather(operator.applies(FILE), operator.applies(FILE))
    assert sorted(len(applied.new_keys) for applied in both) == [0, 1]
    assert await admin.fetchval("SELECT max(version) FROM configuration") == 1


async def test_a_running_worker_takes_a_change_up_within_two_seconds(
    operator: Operator, pool: Pool, keys: Path
) -> None:
    health = Health()
    check = health.check("configuration")
    watch = ConfigurationWatch(pool, Keyring.load(keys, ALL), with_api_keys=True, check=check)
    await watch.start()
    try:
        assert watch.current().tenants == {}
        await operator.applies(FILE)

        async def taken() -> bool:
            return bool(watch.current().tenants and watch.current().api_keys)

        assert await eventually(taken, within_s=2.0, what="the tenant in the snapshot")
        assert [state.ok for state in health.readiness()] == [True]
    finally:
        await watch.stop()


async def test_a_worker_keeps_its_configuration_while_postgres_is_away(
    operator: Operator, database: FreshDatabase, keys: Path
) -> None:
    await operator.applies(FILE)
    own = await connect(database.dsn, worker="intake", connections_max=1)
    health = Health()
    watch = ConfigurationWatch(own, Keyring.load(keys, ALL), check=health.check("configuration"))
    await watch.start()
    try:
        await asyncio.wait_for(own.close(), 10)

        async def noticed() -> bool:
            return not health.readiness()[0].ok

        assert await eventually(noticed, within_s=5.0, what="the failing check")
        assert watch.current().tenant("shop") is not None
    finally:
        await watch.stop()
