"""Texts as short messages: nothing is lost between the letters and the octets, whatever the letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.gateways.smpp.text import PARTS_MAX, UDHI, Alphabet, Long, Part, parts, read
from watchword.kernel.gsm7 import size

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
GSM = st.text("@£$èé\n\rÅΔ_ΦΞ ABCxyz0123456789^{}[]~|€\\", max_size=700)


def joined(found: tuple[Part, ...]) -> str:
    return "".join(read(part.octets[6:] if part.esm_class & UDHI else part.octets, part.data_coding) for part in found)


@given(text=st.one_of(TEXTS, GSM))
def test_the_parts_hold_the_text_and_are_as_many_as_the_price_says(text: str) -> None:
    found = parts(text, Alphabet.GSM7, long=Long.UDH, reference=7)
    assert joined(found) == text
    assert len(found) == size(text).segments
    assert all(len(part.octets) <= (160 if len(found) == 1 else 159) for part in found)
    assert all(len(part.octets) <= 140 for part in found if part.data_coding == 8)


@pytest.mark.parametrize(
    ("text", "counts"),
    [("a" * 160, [160]), ("a" * 161, [153, 8]), ("a" * 152 + "€" + "b" * 10, [152, 12]), ("я" * 70, [140])],
)
def test_parts_are_cut_at_their_limits_and_never_inside_a_letter(text: str, counts: list[int]) -> None:
    found = parts(text, Alphabet.GSM7, long=Long.SAR, reference=1)
    assert [len(part.octets) for part in found] == counts


def test_an_emoji_is_never_cut_in_two() -> None:
    found = parts("я" * 66 + "😀" + "я" * 10, Alphabet.GSM7, long=Long.UDH, reference=1)
    assert [len(part.octets) - 6 for part in found] == [132, 24]


def test_the_header_joins_the_parts() -> None:
    first, second = parts("x" * 200, Alphabet.GSM7, long=Long.UDH, reference=0xAB)
    assert (first.octets[:6], second.octets[:6]) == (b"\x05\x00\x03\xab\x02\x01", b"\x05\x00\x03\xab\x02\x02")
    assert (first.esm_class, second.number, second.total) == (UDHI, 2, 2)


def test_a_long_text_may_travel_whole() -> None:
    [part] = parts("x" * 400, Alphabet.GSM7, long=Long.PAYLOAD, reference=1)
    assert (part.octets, part.esm_class) == (b"x" * 400, 0)


@pytest.mark.parametrize(
    ("alphabet", "text", "octets", "coding"),
    [
        (Alphabet.GSM7, "@é_", b"\x00\x05\x11", 0),
        (Alphabet.GSM7, "[€]", b"\x1b\x3c\x1b\x65\x1b\x3e", 0),
        (Alphabet.LATIN1, "@é_", b"@\xe9_", 0),
        (Alphabet.ASCII, "@_", b"@_", 0),
        (Alphabet.ASCII, "@é", b"\x00@\x00\xe9", 8),
        (Alphabet.LATIN1, "€", b"\x20\xac", 8),
        (Alphabet.GSM7, "`", b"\x00`", 8),
    ],
)
def test_data_coding_0_is_what_the_account_says_it_is(
    alphabet: Alphabet, text: str, octets: bytes, coding: int
) -> None:
    [part] = parts(text, alphabet, long=Long.UDH, reference=0)
    assert (part.octets, part.data_coding) == (octets, coding)


def test_a_text_of_too_many_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="text: must not take more than 10 parts"):
        parts("x" * (153 * PARTS_MAX + 1), Alphabet.GSM7, long=Long.UDH, reference=0)


@given(octets=st.binary(max_size=200), coding=st.integers(0, 255))
def test_any_octets_are_read_as_some_text(octets: bytes, coding: int) -> None:
    assert isinstance(read(octets, coding), str)
