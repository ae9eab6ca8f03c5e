"""What is kept of what providers send."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.gateways import reading

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "told,kept",
    [
        ("DELIVRD", "DELIVRD"),
        (17, "17"),
        (True, ""),
        (None, ""),
        (1.5, ""),
        ("no route to +919876543210", "no_route_to_+#"),
        ("\x00caf\u00e9\n", "caf"),
        ("30003", "30003"),
        ("ERR1234", "ERR1234"),
        ("EC-2007", "EC-2007"),
        (40410, "40410"),
        ("1234567", "#"),
        ("Your code is 4839", "Your_code_is_#"),
        ('Text "Your code is 483920" to +1 415-555-2671 is spam', 'Text_"Your_code_is_#"_to_+#_is_spam'),
        ("code 48 39 20", "code_#"),
        (f"{'x' * 60} 483920", f"{'x' * 60}_#"),
        ("x" * 100, "x" * 64),
    ],
)
def test_word_is_kept_printable_and_without_numbers(told: Any, kept: str) -> None:
    assert reading.word(told) == kept


@pytest.mark.parametrize(
    "told,kept", [("m-1", "m-1"), (12, "12"), ("a b", ""), ("x" * 129, ""), (["m"], ""), ("\u0661", "")]
)
def test_reference_is_kept_whole_or_not_at_all(told: Any, kept: str) -> None:
    assert reading.reference(told) == kept


@pytest.mark.parametrize(
    "told,read",
    [
        ("2026-10-26T06:13:20Z", datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)),
        ("2026-10-26T11:43:20+05:30", datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)),
        ("2026-10-26T06:13:20", None),
        ("yesterday", None),
        (1792995200, None),
    ],
)
def test_moment_without_an_offset_tells_nothing(told: Any, read: datetime | None) -> None:
    assert reading.moment(told) == read


@pytest.mark.parametrize(
    "pointer,found",
    [
        ("", {"a": [{"b/c": 1, "d~e": 2}]}),
        ("/a/0/b~1c", 1),
        ("/a/0/d~0e", 2),
        ("/a/1", None),
        ("/a/-1", None),
        ("/a/x", None),
        ("/a/0/b~1c/z", None),
        ("/", None),
        ("/a/\u0661", None),
        ("/a/99999999999999999999", None),
    ],
)
def test_pointer_finds_what_is_there(pointer: str, found: Any) -> None:
    assert reading.at({"a": [{"b/c": 1, "d~e": 2}]}, pointer) == found


@pytest.mark.parametrize(
    "text,before,after,found",
    [
        ('Success "ab-1"', 'Success "', '"', "ab-1"),
        ("OK ab-1\r\nmore", "OK ", "", "ab-1"),
        ("ERR 12 slow", "ERR ", " ", "12"),
        ("ERR 12", "ERR ", " ", "12"),
        ("fine", "ERR ", " ", ""),
        ("anything", "", "", ""),
    ],
)
def test_text_between_marks_is_found(text: str, before: str, after: str, found: str) -> None:
    assert reading.between(text, before, after) == found


def test_retry_after_date_is_measured_from_the_answer_itself() -> None:
    until = "Wed, 21 Oct 2026 07:28:30 GMT"
    assert reading.retry_after_ms({"retry-after": until, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}) == 30_000
    assert reading.retry_after_ms({"retry-after": until, "date": "Wed, 21 Oct 2026 07:29:00 GMT"}) == 0
    assert reading.retry_after_ms({"retry-after": until}) == 0


@given(value=ANYTHING, pointer=st.text(max_size=20), text=st.text())
def test_nothing_that_is_read_raises(value: Any, pointer: str, text: str) -> None:
    reading.at(value, "/" + pointer)
    assert reading.micros(value) >= 0
    assert len(reading.currency(value)) in (0, 3)
    assert len(reading.word(value)) <= 64
    assert 0 <= reading.retry_after_ms({"Retry-After": text, "Date": text}) <= 3_600_000
    told = reading.moment(text)
    assert told is None or isinstance(told.utcoffset(), timedelta)
