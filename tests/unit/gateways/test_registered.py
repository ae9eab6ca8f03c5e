"""What India's operators ask for goes with a message over HTTP too: beyond the recorded sends."""

from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import structs

from tests.contract.gateways.samples import MESSAGE
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Message

ABROAD = structs.replace(MESSAGE, dlt_entity_id="", dlt_template_id="", dlt_telemarketers="", dlt_chain_hash="")
UNCHAINED = structs.replace(MESSAGE, dlt_telemarketers="", dlt_chain_hash="")
IDS = f"dlt_entity_id={MESSAGE.dlt_entity_id}&dlt_template_id={MESSAGE.dlt_template_id}"


def kannel(**options: str) -> Account:
    told = {"username": "otp", **options}
    return Account(id="k", gateway="kannel", url="http://k.example", options=told, secrets={"token": "t"})


def jasmin(**options: str) -> Account:
    told = {"username": "otp", **options}
    return Account(id="j", gateway="jasmin", url="http://j.example", options=told, secrets={"token": "t"})


def template(body: str) -> Account:
    return Account(id="t", gateway="template", url="http://t.example", options={"body": body})


def metadata(message: Message, account: Account) -> str:
    asked = parse_qs(urlsplit(GATEWAYS["kannel"].encode(message, account).url).query)
    return asked.get("meta-data", [""])[0]


@pytest.mark.parametrize(
    ("own", "whole"),
    [
        ("", f"?smpp?{IDS}"),
        ("?smpp?", f"?smpp?{IDS}"),
        ("?smpp?a=1&b=2", f"?smpp?{IDS}&a=1&b=2"),
        ("?http?a=1", f"?http?a=1?smpp?{IDS}"),
        ("?http?a=1?smpp?b=2", f"?http?a=1?smpp?{IDS}&b=2"),
        ("?smpp??http?a=1", f"?smpp?{IDS}?http?a=1"),
    ],
)
def test_kannel_carries_the_ids_beside_parameters_of_ones_own(own: str, whole: str) -> None:
    account = kannel(meta_data=own) if own else kannel()
    assert metadata(UNCHAINED, account) == whole
    assert metadata(ABROAD, account) == own


def test_kannel_is_told_the_chain_as_its_hash_and_as_ids_where_there_is_a_group_for_them() -> None:
    hashed = f"?smpp?{IDS}&dlt_chain_hash={MESSAGE.dlt_chain_hash}"
    assert metadata(MESSAGE, kannel()) == hashed
    assert metadata(MESSAGE, kannel(dlt_telemarketers_tlv="TM")) == f"{hashed}&TM={MESSAGE.dlt_telemarketers}"


@pytest.mark.parametrize(
    "options",
    [{"meta_data": "smpp?a=1"}, {"meta_data": "?smpp?a=1 2"}, {"dlt_chain_tlv": "a&b"}, {"dlt_entity_tlv": "a=b"}],
)
def test_kannel_refuses_by_name_what_it_would_drop(options: dict[str, str]) -> None:
    for message in (MESSAGE, ABROAD):
        with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
            GATEWAYS["kannel"].encode(message, kannel(**options))


def test_jasmin_is_asked_in_a_form_where_a_message_has_no_parameters() -> None:
    account = jasmin(tlv_1400="{dlt_entity_id}", tlv_1402="{dlt_chain_hash}")
    [abroad, plain, unchained, whole] = [
        GATEWAYS["jasmin"].encode(message, account)
        for message, account in ((ABROAD, account), (MESSAGE, jasmin()), (UNCHAINED, account), (MESSAGE, account))
    ]
    assert abroad.headers == plain.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert b"tlv" not in abroad.body + plain.body
    assert b'"custom_tlvs":[[5120,null,"OctetString","1101456789012345678"]]' in unchained.body
    assert MESSAGE.dlt_chain_hash.encode() in whole.body


@pytest.mark.parametrize("options", [{"tlv_1400": "hex:00ff"}, {"tlv_14": "x"}, {"tlv_1400": "{dlt_entity}"}])
def test_jasmin_refuses_by_name_a_parameter_it_could_not_carry(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^(options\.)?tlv_14(00)?: "):
        GATEWAYS["jasmin"].encode(ABROAD, jasmin(**options))


def test_a_template_is_filled_with_nothing_abroad_and_with_commas_as_they_are() -> None:
    account = template("pe={dlt_entity_id}&tm={dlt_telemarketers}&hash={dlt_chain_hash}")
    assert GATEWAYS["template"].encode(ABROAD, account).body == b"pe=&tm=&hash="
    told = GATEWAYS["template"].encode(MESSAGE, account).body.decode()
    assert told == f"pe={MESSAGE.dlt_entity_id}&tm={MESSAGE.dlt_telemarketers}&hash={MESSAGE.dlt_chain_hash}"
