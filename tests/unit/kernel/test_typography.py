"""Marks are made plain only where that saves something, and letters never."""

import pytest

from watchword.kernel.typography import outsiders, plain, replacements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It’s “yours” – ok…", 'It\'s "yours" - ok...'),
        ("a\u00a0b\u200bc\u2009d", "a bc d"),
        ("naïve", "naïve"),  # a letter outside the alphabet stays, so nothing else changes either
        ("ïs – it", "ïs – it"),
        ("код – 1", "код – 1"),
        ("plain", "plain"),
    ],
)
def test_it_reads(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_was_replaced_is_told_once_each_by_its_code_point() -> None:
    assert replacements("‘a’ – b – c\u200b") == [
        "U+2018 by '", "U+2019 by '", "U+2013 by -", "U+200B by nothing",
    ]  # fmt: skip
    assert replacements("код – 1") == replacements("plain") == []


def test_the_letters_that_make_a_text_dear_are_named() -> None:
    assert outsiders("naïve – ï") == ["'ï'", "'–'"]
    assert outsiders("plain") == []
