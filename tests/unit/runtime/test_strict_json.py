"""What a body may be. Everything else is a 4xx that names the place and repeats no value."""

from enum import StrEnum
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from watchword.runtime.problems import Problem
from watchword.runtime.strict_json import BODY_MAX, decode


class Channel(StrEnum):
    """The channels."""

    SMS = "sms"


class Binding(msgspec.Struct, forbid_unknown_fields=True):
    """A nested struct."""

    amount: str = ""


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """A body as doors have them."""

    to: Annotated[str, Meta(max_length=32)]
    ttl_s: Annotated[int, Meta(ge=30, le=600)] = 300
    channel: Channel = Channel.SMS
    binding: Binding | None = None
    tags: dict[str, str] = {}
    code: Annotated[str, Meta(pattern=r"^[0-9]{4,10}\Z")] = "0000"


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(body, Start)
    return caught.value


def test_a_good_body_is_read() -> None:
    found = decode(b' {"to": "+919876543210", "binding": {"amount": "12.00"}, "tags": {"a": "\\\\u0000"}}\n', Start)
    assert (found.to, found.binding, found.tags) == ("+919876543210", Binding("12.00"), {"a": "\\u0000"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n\t ", "empty_body"),
        (b"{" + b" " * BODY_MAX + b"}", "body_too_large"),
        (b"{", "malformed_json"),
        (b"}", "malformed_json"),
        (b'{"to":"a",}', "malformed_json"),
        (b'{"to":"a"}x', "malformed_json"),
        (b'{"to":"a"}{"to":"a"}', "malformed_json"),
        (b"{'to':'a'}", "malformed_json"),
        (b'{"to":"a" /* */}', "malformed_json"),
        (b"true x", "malformed_json"),
        (b'{"to":"a","to":"a"}', "malformed_json"),
        (b'{"to":"a","\\u0074o":"b"}', "malformed_json"),
        (b'{"to":"a","tags":{"x":"1","x":"2"}}', "malformed_json"),
        (b'{"to":"\xff"}', "malformed_json"),
        (b'{"to":"\xc0\xaf"}', "malformed_json"),
        (b'{"to":"\xed\xa0\x80"}', "malformed_json"),
        (b'{"to":"\\ud800"}', "malformed_json"),
        (b'{"to":"\\u12"}', "malformed_json"),
        (b'{"to":"a\x00"}', "malformed_json"),
        (b'{"to":"a\nb"}', "malformed_json"),
        (b'\xef\xbb\xbf{"to":"a"}', "malformed_json"),
        ('{"to":"a"}'.encode("utf-16"), "malformed_json"),
        (b'{"to":"a","ttl_s":NaN}', "malformed_json"),
        (b'{"to":"a","ttl_s":-Infinity}', "malformed_json"),
        (b'{"to":"a","ttl_s":0300}', "malformed_json"),
        (b'{"to":"a","ttl_s":' + b"9" * 5000 + b"}", "malformed_json"),
        (b"[" * 9 + b"]" * 9, "malformed_json"),
        (b"[" * 16_000, "malformed_json"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "malformed_json"),
        (b"[]", "malformed_body"),
        (b'"text"', "malformed_body"),
        (b"1", "malformed_body"),
        (b"null", "malformed_body"),
        (b"[{}]", "malformed_body"),
    ],
)
def test_a_body_that_is_no_object_in_plain_json_is_refused(body: bytes, code: str) -> None:
    problem = refused(body)
    assert problem.code == code
    assert 400 <= problem.status < 500


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"{}", "/to", "required"),
        (b'{"to":null}', "/to", "Expected str"),
        (b'{"to":4930215555}', "/to", "Expected str, got int"),
        (b'{"to":["493021"]}', "/to", "Expected str, got array"),
        (b'{"to":{"$gt":""}}', "/to", "Expected str, got object"),
        (b'{"to":true}', "/to", "got bool"),
        (b'{"to":"' + b"9" * 33 + b'"}', "/to", "length <= 32"),
        (b'{"to":"a","ttl_s":"300"}', "/ttl_s", "Expected int, got str"),
        (b'{"to":"a","ttl_s":300.5}', "/ttl_s", "Expected int"),
        (b'{"to":"a","ttl_s":1e999}', "/ttl_s", "not allowed"),
        (b'{"to":"a","ttl_s":29}', "/ttl_s", ">= 30"),
        (b'{"to":"a","channel":"4930215555"}', "/channel", "not one of the values"),
        (b'{"to":"a","binding":{"amount":493021}}', "/binding/amount", "Expected str"),
        (b'{"to":"a","binding":{"payee":"x"}}', "/binding/payee", "not known"),
        (b'{"to":"a","unknown":"4930215555"}', "/unknown", "not known"),
        (b'{"to":"a","4930215555":"x"}', "", "not known"),
        (b'{"to":"a","tags":{"k":493021}}', "/tags", "Expected str"),
        (b'{"to":"a\\u0000"}', "", "NUL"),
        (b'{"to":"a","tags":{"\\u0000":"x"}}', "", "NUL"),
        ('{"to":"a","code":"４９３０２１"}'.encode(), "/code", "Expected str matching"),  # noqa: RUF001
    ],
)
def test_a_wrong_field_is_pointed_at_and_its_value_is_not_repeated(body: bytes, pointer: str, detail: str) -> None:
    problem = refused(body)
    (error,) = problem.errors
    assert (problem.code, error.pointer) == ("malformed_body", pointer)
    assert detail in error.detail
    assert b"493021" not in problem.body()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_do_anything_but_decode_or_be_refused(body: bytes) -> None:
    try:
        decode(body, Start)
    except Problem as problem:
        assert problem.status in (400, 413)


def test_brackets_inside_texts_are_not_depth() -> None:
    assert decode(b'{"to":"[[[[[[[[[{{{\\"[[["}', Start).to == '[[[[[[[[[{{{"[[['
