"""`watchword gateways send-test` against a carrier: one message when it is asked for, and an honest exit code."""

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner, Result

from tests.support.carrier import Carriers, simulated
from watchword.accounts.commands import app
from watchword.local.ports import LOOPBACK, free_ports

ACCOUNT = """
[[accounts]]
id = "north"
gateway = "echo"
url = "{url}"
sender = "SHOP"
secrets = {{ token = "north-token", callback = "k" }}
"""


BIND = """
[[accounts]]
id = "north"
gateway = "smpp"
url = "{url}"
sender = "SHOP"
secrets = {{ password = "{password}" }}
options = {{ system_id = "north" }}
"""


async def typed(file: Path, *words: str) -> Result:
    """The command beside this event loop: it has one of its own."""
    asked = ["send-test", "north", "--to", "+447400123456", "--file", str(file), *words]
    return await asyncio.to_thread(CliRunner().invoke, app, asked)


async def reached(carriers: Carriers) -> int:
    """How many SMS reached a phone."""
    return sum((await carriers.ledger()).values())


async def test_a_test_message_is_sent_once_and_only_when_told_to(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    async with simulated(seed=3) as carriers:
        file.write_text(ACCOUNT.format(url=f"{carriers.url}/carriers/north"), "utf-8")
        shown = await typed(file, "--dry-run")
        assert (shown.exit_code, await reached(carriers)) == (0, 0)
        taken = await typed(file, "--yes")
        assert (taken.exit_code, taken.output.split()[0]) == (0, "accepted")
        assert await reached(carriers) == 1
        await carriers.behave("north", errors={"account": 1.0})
        refused = await typed(file, "--yes")
        assert (refused.exit_code, refused.output.split()[0]) == (1, "account")
        told = await typed(file, "--yes", "--json")
        assert (told.exit_code, json.loads(told.output)["outcome"]) == (1, "account")
    assert "north-token" not in shown.output + taken.output + refused.output


async def test_a_carrier_that_is_away_is_told_as_that(tmp_path: Path) -> None:
    file, [port] = tmp_path / "accounts.toml", free_ports(1)
    file.write_text(ACCOUNT.format(url=f"http://{LOOPBACK}:{port}"), "utf-8")
    ran = await typed(file, "--yes")
    assert ran.exit_code == 1
    assert "it did not leave" in ran.output
    told = await typed(file, "--yes", "--json")
    assert (told.exit_code, json.loads(told.output)["may_have_left"]) == (1, False)


async def test_a_test_message_goes_over_a_kept_connection_too(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    async with simulated(seed=3, smpp_port=0) as carriers:
        await carriers.behave("north", token="north-word")
        file.write_text(BIND.format(url=carriers.smpp_url, password="north-word"), "utf-8")
        shown = await typed(file, "--dry-run")
        assert (shown.exit_code, await reached(carriers)) == (0, 0)
        assert shown.output.startswith("bind as trx at ") and "then submit units of" in shown.output
        taken = await typed(file, "--yes")
        assert (taken.exit_code, taken.output.split()[0]) == (0, "accepted")
        assert await reached(carriers) == 1
        file.write_text(BIND.format(url=carriers.smpp_url, password="wrong"), "utf-8")
        refused = await typed(file, "--yes")
        assert (refused.exit_code, refused.output.splitlines()[-1].split()[0]) == (1, "account")
    assert "north-word" not in shown.output + taken.output + refused.output
