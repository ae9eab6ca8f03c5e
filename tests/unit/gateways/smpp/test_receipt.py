"""Reports as carriers write them: parameters first, then whatever the text says, and no text breaks anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.gateways.smpp.pdu import Command, Pdu, Tag
from watchword.gateways.smpp.receipt import Told, is_report, keys_of, told_by

LONG_ID = "a" * 64
KEYS = ["id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "id:0A1B sub:001 dlvrd:001 submit date:2611251626 done date:261125162659 stat:DELIVRD err:000 text:hello",
            {"id": "0A1B", "stat": "DELIVRD", "err": "000", "done date": "261125162659", "text": "hello"},
        ),
        ("ID:7 STAT:undeliv ERR:0x1F", {"id": "7", "stat": "undeliv", "err": "0x1F"}),
        ("stat:EXPIRED id:9", {"stat": "EXPIRED", "id": "9"}),
        (
            "id:1 stat:DELIVRD text:id:2 stat:EXPIRED: no",
            {"id": "1", "stat": "DELIVRD", "text": "id:2 stat:EXPIRED: no"},
        ),
        (f"id:{LONG_ID} stat:REJECTD", {"id": LONG_ID, "stat": "REJECTD"}),
        ("id:1 submit_date:2611251626 donedate:1 stat:DELIVRD", {"id": "1", "submit_date": "2611251626"}),
        ("id: 12  stat : DELIVRD", {"id": "12", "stat": "DELIVRD"}),
        ("id:5\tstat:DELIVRD\nerr:", {"id": "5", "stat": "DELIVRD", "err": ""}),
        ("id:6 stat:DELIVRD err:\x1e", {"id": "6", "stat": "DELIVRD", "err": ""}),
        (
            "id:1 stat:REJECTD err:0x1F Your code is 483920 template:7 text:x",
            {"id": "1", "stat": "REJECTD", "err": "0x1F", "text": "x"},
        ),
        ("id:1 stat:REJECTD 483920 err:", {"stat": "REJECTD", "err": ""}),
        ("id:1;stat:DELIVRD;err:001", {"id": "1", "stat": "DELIVRD", "err": "001"}),
        ("your valid:3 parcel", {}),
        ("", {}),
    ],
)
def test_a_text_is_read_key_by_key(text: str, expected: dict[str, str]) -> None:
    found = keys_of(text.encode())
    assert {name: found.get(name) for name in expected} == expected
    assert expected or not found


@given(text=st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([*KEYS, ":", " ", "x", "1"])).map(" ".join)))
def test_no_text_breaks_it(text: bytes | str) -> None:
    found = keys_of(text if isinstance(text, bytes) else text.encode())
    assert all(isinstance(value, str) for value in found.values())


@settings(deadline=1_000)
@given(st.integers(1, 65_000), st.sampled_from([b"id:", b" ", b"submit date", b"text", b"\xff", b"stat"]))
def test_a_text_of_any_length_is_read_at_once(length: int, piece: bytes) -> None:
    keys_of(piece * (length // len(piece)))


def delivered(text: bytes = b"", **tlvs: bytes) -> Pdu:
    told = tuple((int(Tag[name]), value) for name, value in tlvs.items())
    return Pdu(Command.DELIVER_SM, fields={"esm_class": 4, "short_message": text}, tlvs=told)


def test_parameters_are_believed_before_the_text() -> None:
    told = delivered(
        b"id:1 stat:EXPIRED err:027",
        RECEIPTED_MESSAGE_ID=b"m-2\0",
        MESSAGE_STATE=b"\x02",
        NETWORK_ERROR_CODE=b"\x03\0\x0b",
    )
    assert told_by(told) == Told(b"m-2", "expired", 2, "011")


def test_a_report_may_be_parameters_alone_or_text_alone() -> None:
    assert told_by(delivered(RECEIPTED_MESSAGE_ID=b"7", MESSAGE_STATE=b"\x05")) == Told(b"7", "", 5, "")
    assert told_by(delivered(b"id:7 stat:UNDELIV err:A1")) == Told(b"7", "undeliv", None, "A1")


@pytest.mark.parametrize(("value", "code"), [(b"\x03\x00\x06", "006"), (b"013", "013"), (b"", ""), (b"\x03\x01", "")])
def test_the_network_code_is_read_in_both_of_its_forms(value: bytes, code: str) -> None:
    assert told_by(delivered(NETWORK_ERROR_CODE=value)).code == code


@pytest.mark.parametrize(
    ("esm_class", "is_one"), [(0x00, False), (0x04, True), (0x20, True), (0x24, True), (0x44, True), (0x08, False)]
)
def test_only_the_esm_class_makes_a_report(esm_class: int, is_one: bool) -> None:
    assert is_report(Pdu(Command.DELIVER_SM, fields={"esm_class": esm_class})) is is_one
    assert is_report(Pdu(Command.DATA_SM, fields={"esm_class": esm_class})) is is_one
    assert not is_report(Pdu(Command.SUBMIT_SM, fields={"esm_class": esm_class}))


def test_or_both_parameters_where_a_carrier_forgets_the_class() -> None:
    told = delivered(RECEIPTED_MESSAGE_ID=b"7", MESSAGE_STATE=b"\x02")
    assert is_report(Pdu(Command.DELIVER_SM, tlvs=told.tlvs))
    assert not is_report(Pdu(Command.DELIVER_SM, tlvs=told.tlvs[:1]))
