"""Whatever version 1 could say, version 2 can say: upcasting after decoding never fails and loses nothing."""

import json
import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from watchword.contracts.folder import Version, published_events
from watchword.contracts.inbox import compiled, validator
from watchword.events import attempt_made, catalog, envelope
from watchword.events.attempt_made import AttemptMade

V1 = published_events()["attempt-made"].schema(Version(1))
NEW_IN_V2 = {"price_micros", "currency"}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


def field_values(field: Any) -> st.SearchStrategy[Any]:
    """Values a field of version 1 may hold by its schema."""
    if field.get("format") == "uuid":
        return st.uuids().map(str)
    if field.get("format") == "date-time":
        return st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    if "pattern" in field:
        return st.from_regex(re.compile(field["pattern"], re.ASCII), fullmatch=True)
    if field["type"] == "integer":
        return st.integers(field.get("minimum", -(2**63)), 2**63 - 1)
    return st.booleans() if field["type"] == "boolean" else TEXT | st.sampled_from(field.get("x-open-enum", [""]))


FIELDS = {name: field_values(field) for name, field in V1["properties"].items()}
V1_VALUES = st.fixed_dictionaries(
    {name: FIELDS[name] for name in V1["required"]},
    optional={name: values for name, values in FIELDS.items() if name not in V1["required"]},
)
STRANGE_FIELDS = st.dictionaries(
    TEXT.filter(lambda name: name not in V1["properties"].keys() | NEW_IN_V2), st.integers(-9, 9), max_size=3
)


@given(V1_VALUES, STRANGE_FIELDS)
def test_every_value_of_version_1_is_read_as_version_2(value: dict[str, Any], strange: dict[str, int]) -> None:
    assert compiled(V1).is_valid(value)
    event = catalog.decode("otp.attempt-made.v1", json.dumps({**strange, **value}).encode())
    assert isinstance(event, AttemptMade)
    written = msgspec.json.decode(envelope.encode(event))
    assert validator("attempt-made", 2).is_valid(written)


@given(V1_VALUES)
def test_a_price_is_the_same_money_and_everything_else_is_untouched(value: dict[str, Any]) -> None:
    newer = attempt_made.from_v1(value)
    if "price" in value:
        amount, _, currency = value["price"].partition(" ")
        whole, _, fraction = amount.partition(".")
        assert newer["currency"] == currency
        assert newer["price_micros"] == int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))
    else:
        assert NEW_IN_V2.isdisjoint(newer)
    kept = {name: held for name, held in value.items() if name != "price"}
    assert {name: held for name, held in newer.items() if name not in NEW_IN_V2} == kept


@given(V1_VALUES, st.text() | st.none() | st.integers() | st.floats() | st.just("9" * 5000 + " USD") | st.just(". USD"))
def test_a_price_nobody_can_read_is_unknown_and_never_an_error(value: dict[str, Any], price: object) -> None:
    newer = attempt_made.from_v1({**value, "price": price})
    assert "price" not in newer
    assert NEW_IN_V2.isdisjoint(newer) or isinstance(newer["price_micros"], int)


@given(V1_VALUES)
def test_upcasting_changes_nothing_it_was_given(value: dict[str, Any]) -> None:
    before = dict(value)
    attempt_made.from_v1(value)
    assert value == before
