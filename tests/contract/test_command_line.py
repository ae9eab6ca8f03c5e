"""The commands as an operator types them: what they print, and how they end."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import asyncpg
import pytest

from tests.support import command_line
from tests.support.postgres import FreshDatabase

FILE = """
[[tenants]]
id = "shop"
countries = ["IN"]
[[api_keys]]
tenant = "shop"
name = "web"
scopes = ["start"]
"""
ROUTED = """
[[accounts]]
id = "dear"
gateway = "echo"
url = "http://127.0.0.1:1"
price_micros = 1_000
prices = { "+9198" = 9_000 }

[[accounts]]
id = "plain"
gateway = "echo"
url = "http://127.0.0.1:1"
price_micros = 2_000

[[routes]]
id = "india"
country = "IN"
accounts = ["dear", "plain"]
price_max_micros = 2_500
choice = "scored"
hedge_after_s = 20
"""


def watchword(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with these settings and no others."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    environment |= {f"WATCHWORD_{name.upper()}": value for name, value in settings.items()}
    return command_line.run(*words, environment=environment)


@pytest.fixture
def keyring(tmp_path: Path) -> str:
    path = str(tmp_path / "keyring.json")
    assert watchword("keys", "init", path).returncode == 0
    return path


def test_a_wrong_setting_ends_with_2_and_one_line_that_helps() -> None:
    ended = watchword("config", "explain", http_port="eighty")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("watchword: WATCHWORD_HTTP_PORT (environment):")
    assert "Traceback" not in ended.stderr


def test_a_mistyped_variable_ends_with_2() -> None:
    ended = watchword("config", "explain", postgrs="x")
    assert ended.returncode == 2 and "Did you mean WATCHWORD_POSTGRES?" in ended.stderr


def test_explain_prints_every_setting_and_no_secret() -> None:
    ended = watchword("config", "explain", "--json", postgres="postgresql://me:hunter2@host/db")
    told = {one["name"]: one for one in json.loads(ended.stdout)}
    assert told["WATCHWORD_POSTGRES"]["value"] == "postgresql://me:****@host/db"
    assert told["WATCHWORD_POSTGRES"]["source"] == "environment"
    assert "hunter2" not in ended.stdout + ended.stderr


def test_keys_are_made_rotated_and_listed_but_never_printed(keyring: str) -> None:
    assert watchword("keys", "init", keyring).returncode == 2
    assert watchword("keys", "rotate", keyring, "--purpose", "pepper").returncode == 0
    assert watchword("keys", "rotate", keyring, "--purpose", "peper").returncode == 2
    assert watchword("keys", "promote", keyring).returncode == 0
    listed = watchword("keys", "list", keyring, "--json")
    told = json.loads(listed.stdout)
    assert [one["seals"] for one in told if one["purpose"] == "pepper"] == [False, True]
    secrets = [one["secret"] for one in json.loads(Path(keyring).read_text())["keys"]]
    assert not any(secret in listed.stdout for secret in secrets)


def test_apply_prints_the_new_key_once_and_data_only_on_stdout(
    database: FreshDatabase, keyring: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(FILE)
    settings = {"postgres": database.dsn, "keyring": keyring}
    first = watchword("apply", str(file), "--json", **settings)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["new_keys"][0]["key"].startswith("wwk_live_")
    again = watchword("apply", str(file), **settings)
    assert again.returncode == 0 and "unchanged  tenant    shop" in again.stdout and "wwk_" not in again.stdout


def test_a_file_with_faults_ends_with_2_and_says_them_all(
    database: FreshDatabase, keyring: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(FILE.replace("countries", "countrys").replace('"start"', '"begin"'))
    ended = watchword("apply", str(file), postgres=database.dsn, keyring=keyring)
    assert ended.returncode == 2
    assert 'did you mean "countries"?' in ended.stderr and "scopes" in ended.stderr


def test_a_database_that_is_away_ends_with_1_and_no_traceback(keyring: str, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(FILE)
    away = "postgresql://me:hunter2@127.0.0.1:1/db"
    for words in (("migrate",), ("apply", str(tmp_path / "shop.toml"))):
        ended = watchword(*words, postgres=away, keyring=keyring)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr and "hunter2" not in ended.stderr


def test_migrate_twice_finds_nothing_to_do(database: FreshDatabase) -> None:
    ended = watchword("migrate", "--json", postgres=database.dsn)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"applied": []})


async def counted(dsn: str) -> None:
    """What dispatch has counted a moment ago."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO account_scores VALUES ('plain', 'IN', 40, 10, now()), ('plain', 'GB', 1, 1, now())"
    )
    await connection.close()


def test_routes_and_receipts_are_asked_about_what_stands_in_the_database(
    database: FreshDatabase, keyring: str, tmp_path: Path
) -> None:
    file, settings = tmp_path / "shop.toml", {"postgres": database.dsn, "keyring": keyring}
    file.write_text(FILE + ROUTED)
    assert watchword("apply", str(file), **settings).returncode == 0
    ended = watchword("routes", "explain", "+919876543210", **settings)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert "dear, plain; drawn by how often codes were typed in time; up to 0.0025 USD a part" in lines[1]
    assert lines[1].endswith("another account beside it where nothing is heard for 20 s")
    assert lines[2].endswith("0.009 USD a part") and "it is passed over: a part costs more" in lines[3]
    assert "codes typed in time 0.0, not 0.0" in ended.stdout and "first in 100% of draws" in ended.stdout
    assert "  watchword_dispatch_breaker_state: whether an account is called at all" in ended.stdout
    asyncio.run(counted(database.dsn))
    [chance] = json.loads(watchword("routes", "explain", "+919876543210", "--json", **settings).stdout)["chances"]
    assert (chance["account"], chance["first_share"]) == ("plain", 1.0)
    assert 39 < chance["verified"] <= 40 and 9 < chance["unverified"] <= 10
    strange = watchword("routes", "explain", "+919876543210", "--template", "shop/none", **settings)
    assert strange.returncode == 2 and "there is no template shop/none; there are none" in strange.stderr
    nobody = watchword("routes", "explain", "+447400123456", **settings)
    assert nobody.returncode == 1 and "no route serves GB" in nobody.stderr
    unmapped = watchword("receipts", "unmapped", **settings)
    assert (unmapped.returncode, unmapped.stdout) == (0, "every word and code of every carrier is known\n")
    remapped = watchword("receipts", "remap", "--dry-run", "--json", **settings)
    assert (remapped.returncode, json.loads(remapped.stdout)["still_unmapped"]) == (0, 0)
