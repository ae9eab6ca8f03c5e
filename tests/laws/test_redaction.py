"""Whatever a log record holds, and wherever in it: no code, no number, no key comes out."""

import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.runtime.redaction import MASK, redact, redact_text

codes = st.text(alphabet=string.digits, min_size=4, max_size=10)
numbers = st.text(alphabet=string.digits, min_size=7, max_size=14).map("+{}".format)
around = st.text(alphabet=st.characters(exclude_categories=["Nd", "Cs"]), max_size=30)
names = st.text(alphabet=string.ascii_lowercase + "_", min_size=1, max_size=12).filter(
    lambda name: not name.endswith(("_ms", "_s", "_bytes", "_count", "_total", "_max", "_size", "_port", "_pid", "_no"))
)


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=4
    )


@given(around, codes, around)
@example("code=", "493021", "")
@example("x", "493021", "y")
@example("/", "4930", "-")
@example('"', "493021", '"')
def test_a_code_is_gone_from_any_text(before: str, code: str, after: str) -> None:
    assert code not in redact_text(f"{before}{code}{after}")


@given(around, numbers, around)
def test_a_number_is_gone_from_any_text(before: str, number: str, after: str) -> None:
    told = redact_text(f"{before}{number}{after}")
    assert number not in told and number[1:] not in told


@given(
    st.text(alphabet=string.digits, min_size=8, max_size=12),
    st.sampled_from([" ", "-", ".", ") ", " ("]),
    st.integers(2, 4),
)
def test_a_number_written_in_groups_leaves_no_group(digits: str, gap: str, width: int) -> None:
    groups = [digits[at : at + width] for at in range(0, len(digits), width)]
    groups = [group for group in groups if len(group) > 1]
    told = redact_text(f"call +91{gap}{gap.join(groups)} now")
    assert not any(letter.isdigit() for letter in told.replace("2026-", ""))


@given(nested(codes), names)
def test_a_code_is_gone_from_any_place_in_a_record(value: Any, name: str) -> None:
    told = str(redact({name: value, f"{name}2": {"deep": [value]}}))
    assert not any(code in told for code in _leaves(value))


@given(
    st.integers(1_000, 9_999_999_999),
    names.filter(lambda name: name not in {"bytes", "line", "offset", "pid", "port", "rows"}),
)
def test_a_code_that_came_as_a_number_is_gone(code: int, name: str) -> None:
    assert list(redact({f"x{name}": code}).values()) == [MASK]  # a name that looks like a key of ours is masked as well


def _leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [leaf for one in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(one)]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key wwk_live_abcDEF-_123 used", "abcDEF"),
        ("Authorization: Bearer abc.def-ghi", "abc.def"),
        ("authorization=basic dXNlcjpwdw==", "dXNlcjpwdw"),
        ("postgresql://user:hunter-two@host:5432/db", "hunter"),
        ("password=hunter-two", "hunter"),
        ('{"client_secret": "hunter-two"}', "hunter"),
        ("api_key: hunter-two", "hunter"),
        ("code ٤٩٣٠٢١", "٤٩٣٠"),
        ("4 9 3 0 2 1", "3 0"),
        ("493-021", "021"),
        ("493 021", "493"),
    ],
)
def test_known_shapes_of_secrets_are_gone(text: str, secret: str) -> None:
    assert secret not in redact_text(text)


@pytest.mark.parametrize("name", ["code", "to", "otp", "mobile", "password", "Authorization", "body", "text"])
def test_fields_that_name_a_secret_are_hidden_whole(name: str) -> None:
    assert redact({name: "abc"}) == {name: MASK}


@pytest.mark.parametrize(
    "text",
    [
        "0195f000-1234-7abc-8def-000000000001",
        "2026-11-23T18:06:40.123456Z",
        "on 2026-11-23 it failed",
        "127.0.0.1:9092",
        "localhost:5432",
        "batch of 200 in 35 ms",
        'File "x.py", line 1234, in run',
    ],
)
def test_ids_times_and_addresses_stay_readable(text: str) -> None:
    assert redact_text(text) == text


def test_counts_stay_readable() -> None:
    record = {
        "port": 9092,
        "lag_ms": 12_345,
        "offset": 9_876_543,
        "rows": 5_000,
        "pid": 12_345,
        "share": 0.5,
        "on": True,
    }
    assert redact(record) == record


def test_bytes_and_unknown_things_are_not_shown_as_they_are() -> None:
    told = redact({"raw": b"493021", "error": ValueError("493021"), "deep": [[[[[[[["493021"]]]]]]]]})
    assert "493021" not in str(told) and told["raw"] == "<6 bytes>"
