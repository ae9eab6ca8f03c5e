"""Why a message did not arrive: what a code makes of a report, and what an account may say of codes itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.gateways.samples import MESSAGE
from watchword.gateways import judging, reasons
from watchword.gateways.catalog import ALL, GATEWAYS, facts_of
from watchword.gateways.contract import Account, Receipt
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.verification import ReceiptState

TWILIO = Account(
    id="t", gateway="twilio", url="https://t.example", options={"account_sid": "AC1"}, secrets={"token": "t"}
)
SMPP = Account(id="s", gateway="smpp", url="smpp://s.example", options={"system_id": "s"})
MSG91 = Account(id="m", gateway="msg91", url="https://m.example")


def told(word: str, code: str, account: Account = TWILIO) -> Receipt:
    return judging.report(facts_of(account.gateway), account, word=word, code=code, provider_id="m-1")


def with_reason(account: Account, option: str, value: str) -> Account:
    return replace(account, options={**account.options, option: value})


def test_a_code_that_nobody_knows_leaves_what_the_word_says_and_is_noted() -> None:
    unknown = told("failed", "30999")
    assert (unknown.state, unknown.reason, unknown.unmapped) == ("undelivered", "temporary", "failed/30999")
    assert unknown.raw_code == "30999"
    refused = told("canceled", "30999")
    assert (refused.state, refused.reason, refused.unmapped) == ("rejected", "configuration", "canceled/30999")


@pytest.mark.parametrize("code", ["", "0", "000"])
def test_no_code_is_not_an_unknown_one(code: str) -> None:
    silent = told("failed", code)
    assert (silent.state, silent.reason, silent.unmapped) == ("undelivered", "temporary", "")


@pytest.mark.parametrize(("word", "state"), [("delivered", "delivered"), ("sent", "enroute"), ("beamed", "unknown")])
def test_a_code_beside_anything_but_a_failure_means_nothing(word: str, state: str) -> None:
    other = told(word, "30999")
    assert (other.state, other.reason, other.unmapped) == (state, None, "" if state != "unknown" else word)


def test_a_gateway_that_has_no_codes_tells_sentences_and_none_is_noted() -> None:
    sentence = told("2", "the phone is off", MSG91)
    assert (sentence.state, sentence.reason, sentence.unmapped) == ("undelivered", "temporary", "")


def test_an_account_says_what_its_carriers_codes_mean() -> None:
    added = told("failed", "030999", with_reason(TWILIO, "reason_30999", "blocked"))
    assert (added.state, added.reason, added.unmapped) == ("rejected", "blocked", "")
    overruled = told("failed", "30034", with_reason(TWILIO, "reason_30034", "temporary"))
    assert (overruled.state, overruled.reason) == ("undelivered", "temporary")


@given(code=st.text(max_size=20), value=st.text(max_size=20))
def test_whatever_a_report_and_its_account_say_is_read(code: str, value: str) -> None:
    receipt = told("failed", code, with_reason(TWILIO, f"reason_{code}", value))
    assert receipt.reason in reasons.CLASSES
    assert receipt.state in (ReceiptState.UNDELIVERED, ReceiptState.REJECTED, ReceiptState.EXPIRED)


@pytest.mark.parametrize("account", [TWILIO, SMPP], ids=lambda account: account.gateway)
@pytest.mark.parametrize(
    ("code", "value"), [("", "blocked"), ("027", "blocked"), ("E7", "blocked"), ("27", "accepted"), ("27", "spam")]
)
def test_an_account_that_says_it_wrongly_is_refused_by_name(account: Account, code: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"^(options\.)?reason_{code}: "):
        ALL[account.gateway].encode(MESSAGE, with_reason(account, f"reason_{code}", value))
    ALL[account.gateway].encode(MESSAGE, with_reason(account, "reason_e7", "blocked"))


def test_a_template_says_it_in_its_own_way() -> None:
    account = Account(
        id="x", gateway="template", url="https://x.example", options={"body": "x", "reason.027": "blocked"}
    )
    with pytest.raises(ValueError, match=r"^reason\.027: "):
        GATEWAYS["template"].encode(MESSAGE, account)


def test_a_range_is_all_its_codes_and_a_code_by_itself_wins() -> None:
    table = {"600-602": "configuration", "601": "temporary", "007": "blocked", "a-b": "expired"}
    found = {"600": "configuration", "601": "temporary", "602": "configuration", "7": "blocked", "a-b": "expired"}
    assert reasons.expanded(table) == found


def test_what_indias_operators_refuse_is_a_fault_of_ours_but_for_preference_consent_and_their_own() -> None:
    scrubbing = reasons.shared("dlt")
    others = {code: kind for code, kind in scrubbing.items() if kind != OutcomeClass.CONFIGURATION}
    assert others == dict.fromkeys(map(str, range(650, 661)), "blocked") | {"670": "temporary"}
    for code in ("600", "605", "610", "613", "614", "618", "620", "626", "630", "640", "642", "811", "5606", "5901"):
        assert scrubbing[code] == "configuration"
    for gateway in ("smpp", "jasmin", "template"):
        assert facts_of(gateway).reasons.items() >= scrubbing.items()


def test_infobips_own_ids_are_not_those_of_the_operators() -> None:
    told_ = facts_of("infobip").reasons
    assert [told_[code] for code in ("603", "4106", "4107", "4158", "27")] == [
        "blocked", "configuration", "temporary", "configuration", "temporary",
    ]  # fmt: skip
    assert "633" not in told_
