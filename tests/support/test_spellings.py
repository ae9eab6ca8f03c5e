"""The search for canaries finds one in every spelling, and none where there is none."""

import random

import pytest

from tests.support.spellings import DIGITS, SPELLINGS, found, found_plainly, packed

CANARY = b"8263917405"
OTHERS = frozenset({CANARY, b"9182736450"})
AROUND = b'{"seq": 3, "at": "2026-03-02T09:15:00.123456Z", "id": "0197a3c1-5b1e-7c4d-9f00-5d2f6a1b7c88"}'


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_canary_is_found_in_every_spelling(spelling: str) -> None:
    spelled = SPELLINGS[spelling](CANARY)
    for text in (spelled, AROUND + b'"' + spelled + b'"' + AROUND, b"\x9c\xf1" + spelled + b"\xfe\xff"):
        assert found(OTHERS, text), spelling
        assert not found({b"1122334455"}, text), spelling


@pytest.mark.parametrize("letters", range(9))
def test_a_packed_canary_is_found_wherever_it_begins_in_a_byte(letters: int) -> None:
    assert found(OTHERS, packed(b"A" * letters + CANARY))


def test_none_is_found_where_none_is() -> None:
    draw = random.Random(7)
    assert not found(OTHERS, AROUND * 50 + draw.randbytes(20_000))
    nearly = CANARY[:-1] + b"6"
    assert not any(found(OTHERS, spell(nearly)) for spell in SPELLINGS.values())
    assert not found(OTHERS, CANARY[: DIGITS - 1] + b"x")


def test_the_plain_search_finds_what_stands_there() -> None:
    assert found_plainly(OTHERS, b"+91" + CANARY) and found_plainly(OTHERS, CANARY.decode().encode("utf-16-le"))
    assert not found_plainly(OTHERS, CANARY[:9])
