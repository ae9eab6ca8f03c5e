"""What is told to be wrong with an account, and with which mend."""

from dataclasses import replace

import pytest

from tests.contract.gateways import samples
from watchword.accounts.checking import Flaw, flaws
from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account

RIGHT = Account(
    id="us",
    gateway="twilio",
    url="https://api.twilio.com",
    sender="SHOP",
    options={"account_sid": "AC1", "receipts_url": "https://otp.example/receipts/us"},
    secrets={"token": "t", "callback": "k"},
)


def told(account: Account) -> list[Flaw]:
    return flaws(account, GATEWAYS[account.gateway], facts_of(account.gateway), samples.MESSAGE)


def test_nothing_is_wrong_with_a_right_account() -> None:
    assert told(RIGHT) == []


@pytest.mark.parametrize(
    ("spoilt", "words", "fix"),
    [
        ({"url": "https://u:p@api.twilio.com"}, "cannot send: url: must hold no user", "correct url "),
        ({"secrets": {"callback": "k"}}, "cannot send: secrets.token: ", "correct secrets.token "),
        ({"secrets": {"token": "t"}}, "no delivery report will be believed", "set secrets.callback "),
        ({"options": {**RIGHT.options, "sid": "1"}}, "sid: there is no such option", "correct options.sid "),
        ({"options": {}}, "account_sid: this option is needed", "correct options.account_sid "),
        (
            {"options": {**RIGHT.options, "receipts_url": "https://otp.example/receipts/them"}},
            "receipts_url: must end in /receipts/us",
            "correct options.receipts_url ",
        ),
    ],
)  # fmt: skip
def test_a_flaw_that_stops_messages_or_reports_is_told_with_its_fix(
    spoilt: dict[str, object], words: str, fix: str
) -> None:
    [flaw] = [each for each in told(replace(RIGHT, **spoilt)) if each.serious]  # type: ignore[arg-type]
    assert words in flaw.told
    assert fix in flaw.fix


def test_what_still_works_is_told_and_not_serious() -> None:
    quiet = told(replace(RIGHT, options={"account_sid": "AC1"}, url="http://gateway.example"))
    assert [flaw.serious for flaw in quiet] == [False, False]
    assert quiet[0].fix == "set options.receipts_url to https://<the receipts door>/receipts/us"
    assert told(replace(RIGHT, url="http://127.0.0.1:9200")) == []


def test_no_flaw_tells_a_secret() -> None:
    flaw = told(replace(RIGHT, secrets={"token": "pass\nword", "callback": "k"}))[0]
    assert "word" not in flaw.told.removeprefix("cannot send: secrets.token")
