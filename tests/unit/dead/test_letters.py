"""Dead letters as they are read."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.history import approved
from watchword.dead.letters import UNTOLD, Letter, chosen, grouped, letter_of, place_of, place_text, shown
from watchword.events import topics
from watchword.replay.entry import MASK
from watchword.replay.where import where

DEAD = topics.dead(topics.ASSESSMENTS)
WHY = (
    ("wwd_reason", b"unreadable"),
    ("wwd_detail", b"value of +919876543210"),
    ("wwd_topic", topics.ASSESSMENTS.encode()),
    ("wwd_partition", b"2"),
    ("wwd_offset", b"41"),
)


@dataclass
class Record:
    topic: str = DEAD
    partition: int = 0
    offset: int = 5
    timestamp: int = 1_760_000_000_000
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: Any = WHY


def letter(**changes: Any) -> Letter:
    return letter_of(Record(**changes), DEAD)


def test_letter_says_why_and_whence() -> None:
    told = letter()
    assert (told.reason, told.origin, told.origin_partition, told.origin_offset) == (
        "unreadable",
        topics.ASSESSMENTS,
        2,
        41,
    )
    assert place_text(told.place) == f"{DEAD}/0/5"
    assert told.obstacle == ""


def test_headers_of_the_living_record_are_kept_and_ours_taken_off() -> None:
    row = approved().told[1].row
    told = letter(headers=[*row.headers, *WHY], value=row.value)
    assert told.headers == list(row.headers)
    assert told.entry.name == "verification-assessed"


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"value": None}, "its value was withheld"),
        ({"headers": ()}, "it does not say which topic it came from"),
        ({"headers": (("wwd_topic", b"payments"),)}, "it does not say which topic it came from"),
        ({"headers": (("wwd_topic", topics.LIFECYCLE.encode()),)}, "it does not say which topic it came from"),
    ],
)
def test_letter_that_cannot_be_sent_again_says_so(changes: dict[str, Any], obstacle: str) -> None:
    assert letter(**changes).obstacle == obstacle


def test_letters_are_grouped_by_topic_and_reason() -> None:
    told = grouped([letter(), letter(offset=6, timestamp=1_760_000_009_000), letter(headers=())])
    assert [(group.reason, group.count, group.example) for group in told] == [
        (UNTOLD, 1, f"{DEAD}/0/5"),
        ("unreadable", 2, f"{DEAD}/0/5"),
    ]
    assert (told[1].newest - told[1].oldest).total_seconds() == 9


def test_letters_are_chosen_by_reason_and_expression() -> None:
    row = approved().told[1].row
    told = letter(headers=[*row.headers, *WHY], value=row.value)
    assert chosen(told, reason="unreadable", predicate=where("send_no = 1 and buried_for = unreadable"))
    assert not chosen(told, reason="bug")
    assert not chosen(told, predicate=where("tenant = other"))


def test_what_is_shown_of_a_letter_holds_no_number_and_no_code() -> None:
    value = b'{"to":"+919876543210","otp":"493021","purpose":"login"}'
    told = shown(letter(value=value, key=b"+919876543210", headers=[("x", b"919876543210"), *WHY]))
    assert told["value"] == {"to": MASK, "otp": MASK, "purpose": "login"}
    assert "9876543210" not in str(told)


@pytest.mark.parametrize(("value", "told"), [(b"\xff\x00", "<2 bytes that are no JSON>"), (None, None)])
def test_bytes_that_are_no_json_are_counted_and_not_shown(value: bytes | None, told: str | None) -> None:
    assert shown(letter(value=value))["value"] == told


@pytest.mark.parametrize(
    "text", ["", "otp.dispatch.v1/0/1", f"{DEAD}/0", f"{DEAD}/x/1", f"{DEAD}/0/-1", f"{DEAD}/0/1/2"]
)
def test_place_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as otp"):
        place_of(text)


def test_place_is_read_back() -> None:
    assert place_of(f"{DEAD}/0/5") == (DEAD, 0, 5)
