"""Whatever a stranger writes is read or refused, never an accident: numbers, cursors, queries, preferences.

JSON bodies: tests/unit/runtime/test_strict_json.py. CloudEvents and what is published: tests/contract/events and
tests/unit/intake/test_submitted.py. Callbacks of every gateway: tests/contract/gateways.
"""

import base64
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from watchword.intake import cursor, prefer
from watchword.intake.listing import ListQuery, scope_of, window_of
from watchword.kernel.phone import PhoneNumber, Refusal, parse
from watchword.runtime import http_reading
from watchword.runtime.problems import Problem
from watchword.runtime.sealing import Key

FEW = settings(max_examples=25, deadline=None)
ANYWHERE = frozenset(phonenumbers.SUPPORTED_REGIONS) | {"001"}
KEY = Key("cursor-1", bytes(range(32)))
SCOPE = ("shop", "", "", "", "")
written = st.text("0123456789+ ().-", max_size=34)
regions = st.sampled_from(["", "IN", "GB", "US", "DE", "AR", "MX", "IT", "RU", "KZ", "ZZ"])


@FEW
@given(st.one_of(written, st.text(max_size=40)), regions)
def test_any_text_is_a_number_or_a_refusal_that_does_not_repeat_it(text: str, region: str) -> None:
    read = parse(text, default_region=region, allowed_countries=ANYWHERE)
    assert isinstance(read, PhoneNumber | Refusal)
    if isinstance(read, Refusal) and sum(mark.isdigit() for mark in text) > 6:
        assert text not in read.detail


@FEW
@given(st.integers(10**6, 10**14).map("+{}".format), written, regions)
@example("+5491123456789", "", "")
@example("+390612345678", "", "")
@example("+919876543210", "", "")
def test_a_number_that_was_read_reads_as_itself(number: str, other: str, region: str) -> None:
    """Else one phone would have two names, and two budgets."""
    for text in (number, other):
        read = parse(text, default_region=region, allowed_countries=ANYWHERE)
        if isinstance(read, PhoneNumber):
            e164 = read.e164.reveal()
            assert e164.isascii() and e164[0] == "+" and e164[1:].isdigit() and len(e164) <= 16
            again = parse(e164, default_region="", allowed_countries=ANYWHERE)
            assert isinstance(again, PhoneNumber)
            assert (again.e164, again.country, again.range) == (read.e164, read.country, read.range)


@FEW
@given(st.one_of(st.text(max_size=64), st.text("ABCDwxyz0189-_=", min_size=40, max_size=46)))
def test_any_text_but_ours_is_no_cursor(text: str) -> None:
    with pytest.raises(cursor.CursorInvalid):
        cursor.opened([KEY], text, SCOPE)


@FEW
@given(st.uuids(), st.integers(0, 255))
def test_a_cursor_with_one_bit_turned_is_refused(after: UUID, bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(cursor.signed(KEY, after, SCOPE) + "="))
    raw[bit // 8] ^= 1 << bit % 8
    text = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(cursor.CursorInvalid):
        cursor.opened([KEY], text, SCOPE)


words = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.datetimes().map(datetime.isoformat),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    st.integers(-(10**25), 10**25).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["null", "true", "1e400", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\u0661\u0662"]
    ),
)
names = st.one_of(st.sampled_from(ListQuery.__struct_encode_fields__), st.text(max_size=8))


@FEW
@given(
    st.one_of(
        st.dictionaries(names, words, max_size=6).map(urlencode), st.text(max_size=80).map(quote), st.text(max_size=60)
    )
)
def test_any_query_is_a_window_or_a_problem(text: str) -> None:
    request: Any = SimpleNamespace(rel_url=SimpleNamespace(raw_query_string=text))
    try:
        asked = http_reading.query(request, ListQuery)
        window = window_of("shop", asked, UUID(int=2**128 - 1))
    except Problem as problem:
        assert problem.status == 400
    else:
        assert window.floor <= UUID(int=2**128 - 1) and scope_of("shop", asked)


@FEW
@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_preference_is_a_number_of_seconds(said: list[str]) -> None:
    headers: Any = CIMultiDict([("Prefer", each) for each in said])
    assert 0 <= prefer.wait_s(headers) <= prefer.WAIT_MAX_S
