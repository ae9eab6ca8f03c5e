"""`watchword gateways …` over a file of accounts, as an operator types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from watchword.accounts.commands import app
from watchword.gateways.catalog import ALL

ACCOUNTS = """
[[accounts]]
id = "us"
gateway = "twilio"
url = "https://api.twilio.com"
sender = "SHOP"
secrets = { token = "sample-token", callback = "k" }
options = { account_sid = "AC1", receipts_url = "https://otp.example/receipts/us" }

[[accounts]]
id = "in"
gateway = "msg91"
url = "https://control.msg91.com"
secrets = { token = "sample-token" }
"""

REGISTERED = """
[[tenants]]
id = "shop"
countries = ["GB", "IN"]

[[templates]]
id = "otp"
tenant = "shop"
brand = "Shop"
texts = { en = "{code} is your {brand} code." }
[templates.dlt]
entity_id = "1101456789012345678"
header = "SHOPIN"
registered = { en = { template_id = "1107161234567890123", text = "{#numeric#} is your Shop code." } }

[[templates]]
id = "abroad"
tenant = "shop"
texts = { en = "{code} is your code." }

[[accounts]]
id = "kannel"
gateway = "kannel"
url = "http://127.0.0.1:13013"
sender = "SHOP"
dlt_telemarketers = ["1102111111111111111"]
options = { username = "otp" }
secrets = { token = "sample-token" }
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS, "utf-8")
    return str(path)


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_ls_tells_every_gateway_and_what_it_needs() -> None:
    assert [line.split()[0] for line in typed("ls").output.splitlines()] == sorted(ALL)
    told = {one["name"]: one for one in json.loads(typed("ls", "--json").output)}
    assert told["twilio"]["account"]["needs"] == ["account_sid"]
    assert told["infobip"]["resend"] == "dedupes"


def test_an_account_that_keeps_a_connection_is_checked_and_shown_without_calling(tmp_path: Path) -> None:
    file = tmp_path / "smpp.toml"
    file.write_text(
        '[[accounts]]\nid = "bind"\ngateway = "smpp"\nurl = "smpps://smsc.example"\n'
        'secrets = { password = "word" }\noptions = { system_id = "shop" }\n'
    )
    assert typed("check", "bind", "--file", str(file)).exit_code == 0
    shown = typed("send-test", "bind", "--to", "+447400123456", "--dry-run", "--file", str(file))
    assert shown.exit_code == 0 and "smsc.example" in shown.output and "over TLS" in shown.output
    assert "7400123456" not in shown.output and "word" not in shown.output


def test_check_passes_what_is_right_and_tells_the_rest_with_its_fix(file: str) -> None:
    assert typed("check", "us", "--file", file).exit_code == 0
    both = typed("check", "--file", file)
    assert both.exit_code == 1
    assert "ok    us (twilio)" in both.output
    assert "FAIL  in (msg91)" in both.output
    assert "fix: correct templates in its [[accounts]]" in both.output
    told = json.loads(typed("check", "--file", file, "--json").output)
    assert told["checked"] == ["us", "in"]
    assert {flaw["account"] for flaw in told["flaws"]} == {"in"}


def test_check_of_an_account_that_is_not_there_names_those_that_are(file: str) -> None:
    ran = typed("check", "uk", "--file", file)
    assert ran.exit_code == 2
    assert "there is no account uk; there are in, us" in ran.output


def test_a_dry_run_shows_the_request_and_no_secret(file: str) -> None:
    ran = typed("send-test", "us", "--to", "+447400123456", "--dry-run", "--file", file)
    assert ran.exit_code == 0
    assert ran.output.startswith("POST https://api.twilio.com/")
    assert "7400123456" not in ran.output
    assert "sample-token" not in ran.output


@pytest.mark.parametrize(
    "words",
    [["--to", "+447400123456"], ["--to", "+447400123456", "--yes", "--dry-run"], ["--to", "7400123456", "--dry-run"]],
)
def test_nothing_is_sent_unless_it_is_asked_for_plainly(file: str, words: list[str]) -> None:
    assert typed("send-test", "us", *words, "--file", file).exit_code == 2


def test_an_account_that_cannot_send_says_so(file: str) -> None:
    ran = typed("send-test", "in", "--to", "+447400123456", "--dry-run", "--file", file)
    assert ran.exit_code == 1
    assert "in cannot send: templates: must say by which id" in ran.output


def test_to_india_goes_what_is_registered_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "india.toml"
    file.write_text(REGISTERED, "utf-8")
    asked = ["send-test", "kannel", "--to", "+919876543210", "--dry-run", "--file", str(file)]
    for words in ([], ["--template", "abroad"], ["--template", "opt"]):
        refused = typed(*asked, *words)
        assert (refused.exit_code, "template" in refused.output) == (2, True)
    ran = typed(*asked, "--template", "shop/otp", "--json")
    told = json.loads(ran.output)
    assert (ran.exit_code, told["sender"], told["template"]) == (0, "SHOPIN", "otp")
    assert (told["dlt_entity_id"], told["dlt_template_id"]) == ("1101456789012345678", "1107161234567890123")
    assert told["dlt_chain_hash"] in told["request"] and "from=SHOPIN" in told["request"]
    assert "9876543210" not in ran.output and "sample-token" not in ran.output
    assert "this+is+a+test" in typed(*asked, "--unregistered").output
