"""Units as bytes: written as the specification says, read whatever comes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.gateways.smpp.pdu import FRAME_BYTES_MAX, Command, Frames, Pdu, Tag, decode, encode

ENQUIRE = bytes.fromhex("00000010000000150000000000000007")
SUBMIT = Pdu(
    Command.SUBMIT_SM,
    sequence=2,
    fields={"source": b"SHOP", "dest": b"919876543210", "data_coding": 8, "short_message": b"\0A"},
    tlvs=((0x1400, b"1101"), (Tag.USER_MESSAGE_REFERENCE, b"\0\x01")),
)
OCTET = st.integers(0, 255)
STRING = st.binary(max_size=20).map(lambda told: told.replace(b"\0", b""))


def test_an_empty_unit_is_its_header() -> None:
    assert encode(Pdu(Command.ENQUIRE_LINK, sequence=7)) == ENQUIRE
    assert decode(ENQUIRE) == Pdu(Command.ENQUIRE_LINK, sequence=7, whole=True)


def test_a_submission_is_written_field_by_field() -> None:
    body = b"\0" + b"\0\0SHOP\0" + b"\0\x00919876543210\0" + bytes(3) + b"\0\0" + bytes(2) + b"\x08\0" + b"\x02\0A"
    tlvs = b"\x14\x00\x00\x041101" + b"\x02\x04\x00\x02\0\x01"
    assert encode(SUBMIT)[16:] == body + tlvs
    read = decode(encode(SUBMIT))
    assert (read.text("dest"), read.number("data_coding"), read.message) == (b"919876543210", 8, b"\0A")
    assert (read.tlvs, read.whole) == (SUBMIT.tlvs, True)


def test_a_text_may_stand_in_message_payload() -> None:
    long = Pdu(Command.DELIVER_SM, tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 300),))
    assert decode(encode(long)).message == b"x" * 300


def test_a_response_with_an_error_has_no_body() -> None:
    refused = Pdu(0x80000004, 0x58, 9, {"message_id": b"m-1"})
    assert len(encode(refused)) == 16
    assert decode(encode(refused)).text("message_id") == b""


@pytest.mark.parametrize("fields", [{"source": b"a\0b"}, {"esm_class": 256}, {"short_message": b"x" * 256}])
def test_what_does_not_fit_is_refused_by_name(fields: dict[str, int | bytes]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        encode(Pdu(Command.SUBMIT_SM, fields=fields))


@given(
    octets=st.fixed_dictionaries({"source_ton": OCTET, "esm_class": OCTET, "registered_delivery": OCTET}),
    strings=st.fixed_dictionaries({"service_type": STRING, "source": STRING, "dest": STRING}),
    message=st.binary(max_size=255),
    tlvs=st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=5).map(tuple),
    sequence=st.integers(0, 0xFFFFFFFF),
)
def test_what_is_written_is_read_again(
    octets: dict[str, int],
    strings: dict[str, bytes],
    message: bytes,
    tlvs: tuple[tuple[int, bytes], ...],
    sequence: int,
) -> None:
    told: dict[str, int | bytes] = {**octets, **strings, "short_message": message}
    read = decode(encode(Pdu(Command.DELIVER_SM, 0, sequence, told, tlvs)))
    assert {name: read.fields[name] for name in told} == told
    assert (read.sequence, read.tlvs, read.whole) == (sequence, tlvs, True)


@given(header=st.sampled_from([1, 4, 5, 9, 0x0B, 0x103, 0x80000004, 0x77]), body=st.binary(max_size=300))
def test_any_body_is_read_as_far_as_it_goes(header: int, body: bytes) -> None:
    frame = (16 + len(body)).to_bytes(4, "big") + header.to_bytes(4, "big") + bytes(8) + body
    read = decode(frame)
    assert read.command == header
    assert sum(len(value) for _, value in read.tlvs) + len(read.message) <= 2 * len(body)


def test_every_cut_of_a_unit_is_read_and_none_passes_for_whole() -> None:
    whole = encode(SUBMIT)
    tlvs_at = whole.index(b"\x14\x00\x00\x04")
    for length in range(17, len(whole)):
        cut = decode(length.to_bytes(4, "big") + whole[4:length])
        assert not cut.whole or length in (tlvs_at, tlvs_at + 8), length


@settings(max_examples=60)
@given(data=st.data())
def test_a_stream_is_cut_the_same_however_it_arrives(data: st.DataObject) -> None:
    units = [ENQUIRE, encode(SUBMIT), encode(Pdu(Command.UNBIND, sequence=3)), ENQUIRE]
    stream = b"".join(units)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    frames = Frames()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for piece in pieces for frame in frames.feed(piece)] == units
    assert not frames.broken


@pytest.mark.parametrize("length", [0, 15, FRAME_BYTES_MAX + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be_true_ends_the_stream(length: int) -> None:
    frames = Frames()
    assert frames.feed(ENQUIRE + length.to_bytes(4, "big") + ENQUIRE) == [ENQUIRE]
    assert frames.broken == "bad_length"
    assert frames.feed(ENQUIRE) == []


def test_a_unit_of_the_greatest_length_is_still_read() -> None:
    frames = Frames()
    frame = FRAME_BYTES_MAX.to_bytes(4, "big") + ENQUIRE[4:] + bytes(FRAME_BYTES_MAX - 16)
    assert frames.feed(frame[:100]) == []
    assert frames.feed(frame[100:]) == [frame]


def test_neither_passwords_nor_texts_print() -> None:
    assert "SHOP" not in repr(SUBMIT)
