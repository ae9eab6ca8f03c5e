"""A message as it is submitted: addresses, remaining life, parameters of the account's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.gateways.smpp.stories import ACCOUNT, MESSAGE
from watchword.gateways.contract import Message
from watchword.gateways.smpp.gateway import Smpp
from watchword.gateways.smpp.pdu import Pdu, Tag, decode


def units(message: Message = MESSAGE, sender: str = "SHOP", **options: str) -> list[Pdu]:
    account = replace(ACCOUNT, sender=sender, options={"system_id": "shop", **options})
    return [decode(unit) for unit in Smpp().encode(message, account).units]


@pytest.mark.parametrize(
    ("sender", "ton", "npi", "written"),
    [
        ("SHOP", 5, 0, b"SHOP"),
        ("+447700900123", 1, 1, b"447700900123"),
        ("447700900123", 1, 1, b"447700900123"),
        ("56789", 3, 0, b"56789"),
        ("", 0, 0, b""),
    ],
)
def test_a_sender_is_numbered_by_its_looks(sender: str, ton: int, npi: int, written: bytes) -> None:
    [unit] = units(sender=sender)
    assert (unit.number("source_ton"), unit.number("source_npi"), unit.text("source")) == (ton, npi, written)
    assert (unit.number("dest_ton"), unit.number("dest_npi"), unit.text("dest")) == (1, 1, b"919876543210")


def test_or_as_its_account_says() -> None:
    [unit] = units(sender="56789", source_ton="6", dest_ton="0", dest_npi="1")
    assert (unit.number("source_ton"), unit.number("source_npi"), unit.number("dest_ton")) == (6, 0, 0)


@pytest.mark.parametrize(
    ("life_s", "options", "validity"),
    [
        (90, {}, b"000000000130000R"),
        (300, {}, b"000000000500000R"),
        (90_061, {}, b"000001010101000R"),
        (-5, {}, b"000000000001000R"),
        (90, {"validity_floor_s": "120"}, b"000000000200000R"),
        (90, {"validity": "none"}, b""),
    ],
)
def test_the_carrier_hears_how_long_the_code_lives(life_s: int, options: dict[str, str], validity: bytes) -> None:
    [unit] = units(structs.replace(MESSAGE, life_s=life_s), **options)
    assert unit.text("validity") == validity


def test_parameters_of_the_accounts_own_come_in_their_order() -> None:
    message = structs.replace(MESSAGE, dlt_entity_id="1101456", dlt_template_id="1107161")
    [unit] = units(
        message,
        tlv_1401="{dlt_template_id}",
        tlv_1400="c:{dlt_entity_id}",
        tlv_0x1402="{dlt_chain_hash}",
        tlv_1403="hex:00ff",
        tlv_1404="fixed",
    )
    assert unit.tlvs == ((0x1401, b"1107161"), (0x1400, b"1101456\0"), (0x1403, b"\0\xff"), (0x1404, b"fixed"))


def test_only_the_last_part_asks_for_a_receipt() -> None:
    long = structs.replace(MESSAGE, text="x" * 400)
    assert [unit.number("registered_delivery") for unit in units(long)] == [0, 0, 1]
    assert [unit.tlv(Tag.SAR_NUMBER) for unit in units(long, long="sar")] == [b"\x01", b"\x02", b"\x03"]
    [whole] = units(long, long="payload")
    assert (whole.text("short_message"), whole.tlv(Tag.MESSAGE_PAYLOAD)) == (b"", b"x" * 400)


@pytest.mark.parametrize(
    ("message", "sender", "options", "named"),
    [
        (structs.replace(MESSAGE, to="919876543210"), "SHOP", {}, "to"),
        (MESSAGE, "A NAME TOO LONG", {}, "sender"),
        (MESSAGE, "Größe", {}, "sender"),
        (structs.replace(MESSAGE, text="x" * 2_000), "SHOP", {}, "text"),
        (structs.replace(MESSAGE, text="x" * 200), "SHOP", {"window": "1"}, "window"),
    ],
)
def test_what_cannot_be_carried_is_named(message: Message, sender: str, options: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        units(message, sender, **options)


@given(text=st.text(max_size=300), life_s=st.integers(-10, 10**7))
def test_any_text_is_written_as_whole_units(text: str, life_s: int) -> None:
    assert all(unit.whole for unit in units(structs.replace(MESSAGE, text=text, life_s=life_s)))
