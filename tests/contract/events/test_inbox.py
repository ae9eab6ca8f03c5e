"""What strangers publish is held to the published schema, and what says no never quotes it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.events.contract_cases import EXAMPLES, Example
from watchword.contracts.inbox import FLAWS_MAX, VALUE_BYTES_MAX, Flaw, header_flaws, validator, value_flaws

SUBMITTED = [example for example in EXAMPLES if example.folder.name == "verification-submitted"]
NUMBER = "+61491570156"


def said(value: bytes | None) -> list[tuple[str, str]]:
    return [(flaw.pointer, flaw.rule) for flaw in value_flaws(value)]


def submitted(**fields: object) -> bytes:
    return json.dumps({"to": NUMBER, **fields}).encode()


@pytest.mark.parametrize("example", SUBMITTED, ids=str)
def test_a_good_submission_has_no_flaw(example: Example) -> None:
    assert value_flaws(example.path.read_bytes()) == ()


def test_a_field_nobody_knows_is_no_flaw() -> None:
    assert said(submitted(colour="blue")) == []


@pytest.mark.parametrize(
    ("value", "pointer", "rule"),
    [
        (None, "", "empty"),
        (b"", "", "empty"),
        (b"x" * (VALUE_BYTES_MAX + 1), "", "too_large"),
        (b"\xff", "", "not_utf8"),
        (b"{", "", "not_json"),
        (b"\xef\xbb\xbf{}", "", "not_json"),
        (b'{"to":"a","x":NaN}', "", "not_json"),
        (b'{"to":"a","x":-Infinity}', "", "not_json"),
        (b'{"to":"a","x":1e400}', "", "not_json"),
        (b'{"to":"a","x":' + b"9" * 5000 + b"}", "", "not_json"),
        (b"[" * VALUE_BYTES_MAX, "", "too_deep"),
        (b'{"to":"a","x":' + b"[" * 20 + b"]" * 20 + b"}", "", "too_deep"),
        (b'{"to":"a","to":"b"}', "", "duplicate_key"),
        (b'{"to":"a","signals":{"ip":"a","ip":"b"}}', "", "duplicate_key"),
        (b'{"to":"a\\u0000"}', "/to", "nul"),
        (b'{"to":"a","binding":{"a\\u0000":"b"}}', "/binding", "nul"),
        (b'{"to":"\\ud800"}', "/to", "not_utf8"),
        (b"[]", "", "type"),
        (b"null", "", "type"),
        (b"{}", "/to", "required"),
        (b'{"to":61491570156}', "/to", "type"),
        (b'{"to":""}', "/to", "minLength"),
        (submitted(purpose=None), "/purpose", "type"),
        (submitted(purpose="x" * 65), "/purpose", "maxLength"),
        (submitted(ttl_s=0), "/ttl_s", "minimum"),
        (submitted(ttl_s=True), "/ttl_s", "type"),
        (submitted(ttl_s="300"), "/ttl_s", "type"),
        (submitted(signals={"form_ms": -1}), "/signals/form_ms", "minimum"),
        (submitted(signals=[]), "/signals", "type"),
        (submitted(binding={"amount": 12}), "/binding/amount", "type"),
        (submitted(binding={str(n): "" for n in range(17)}), "/binding", "maxProperties"),
        (submitted(code="x"), "", "code_in_clear"),
        (submitted(otp="x"), "", "code_in_clear"),
        (submitted(**{"x" * 65: 1}), "", "propertyNames"),
    ],
)  # fmt: skip
def test_a_bad_submission_is_told_where_and_what(value: bytes | None, pointer: str, rule: str) -> None:
    assert said(value) == [(pointer, rule)]


def test_several_flaws_are_told_at_once_and_not_without_end() -> None:
    assert {("/purpose", "type"), ("/ttl_s", "type")} <= set(said(submitted(purpose=1, ttl_s="x")))
    many = {"binding": {f"k{n}": n for n in range(16)}, "purpose": 1, "policy": 2}
    assert len(value_flaws(submitted(**many))) <= FLAWS_MAX


def test_what_is_told_never_quotes_the_publisher() -> None:
    for value in (submitted(to=[NUMBER]), submitted(binding={NUMBER: 1}), submitted(binding={"493021": 1})):
        assert not any(
            "491570156" in flaw.pointer + flaw.rule or "493021" in flaw.pointer for flaw in value_flaws(value)
        )
    assert said(submitted(binding={NUMBER: 1})) == [("/binding/*", "type")]


@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["to", "ttl_s", "signals", "binding", "ip"]) | st.text(max_size=4), inner, max_size=4),
    max_leaves=9,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_is_published_gets_an_answer_that_can_be_sent(value: bytes) -> None:
    for flaw in value_flaws(value):
        assert flaw.rule
        assert flaw.pointer.encode("ascii").decode() == flaw.pointer


def test_any_event_can_be_held_to_its_schema() -> None:
    assert validator("attempt-made", 2).is_valid({}) is False
    with pytest.raises(KeyError):
        validator("no-such-event", 1)


def test_headers_of_strangers_are_held_to_the_envelope() -> None:
    good = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/acme"),
        ("ce_type", b"otp.verification-submitted.v1"),
    ]
    assert header_flaws([*good, ("x-other", b"\xff\xff")]) == ()
    assert header_flaws(good[1:]) == (Flaw("/ce_specversion", "required"),)
    assert header_flaws([*good, ("ce_id", b"a\0b")]) == (Flaw("/ce_id", "pattern"),)
    assert header_flaws([*good, ("ce_id", b"x" * 257)]) == (Flaw("/ce_id", "maxLength"),)
    assert header_flaws([*good, ("ce_id", b"\xff")]) == (Flaw("/ce_id", "not_utf8"),)
    assert header_flaws([*good, ("ce_time", b"2026-03-02T09:15:04")]) == (Flaw("/ce_time", "format"),)
