"""What a reader does with values it did not expect: newer words and fields pass, everything unreadable is said so."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.events.contract_cases import EXAMPLES, STRUCTS, Example, leaves, minimal
from watchword.events import catalog
from watchword.events.catalog import UnreadableEvent
from watchword.events.verification_assessed import Action, VerificationAssessed

WIRE_TYPES = [f"otp.{name}.v{major}" for name, event in STRUCTS.items() for major in range(1, event.MAJOR + 1)]
OPEN_WORDS = [
    (example, path)
    for example in EXAMPLES
    if example.path.stem == "full"
    for path, field in leaves(example.folder.schema(example.version))
    if "x-open-enum" in field
]


def read(name: str, **changes: Any) -> Any:
    """The minimal example of an event with these fields changed, as its newest version."""
    return catalog.decode(f"otp.{name}.v{STRUCTS[name].MAJOR}", json.dumps({**minimal(name), **changes}).encode())


def with_word(value: Any, path: str, word: str) -> Any:
    """`value` with the word at `path` replaced, in every item of a list on the way."""
    name, _, rest = path.partition(".")
    if isinstance(value, list):
        return [with_word(item, path, word) for item in value]
    return {**value, name: with_word(value[name], rest, word) if rest else word}


def word_at(event: Any, path: str) -> Any:
    """What an event holds at `path`, in the first item of a list on the way."""
    for name in path.split("."):
        event = getattr(event[0] if isinstance(event, tuple) else event, name)
    return event


@pytest.mark.parametrize(("example", "path"), OPEN_WORDS, ids=[f"{case[0]}-{case[1]}" for case in OPEN_WORDS])
def test_a_word_from_a_newer_writer_reads_as_unknown(example: Example, path: str) -> None:
    value = with_word(example.value, path, "word-of-tomorrow")
    assert word_at(catalog.decode(example.wire_type, json.dumps(value).encode()), path) == "unknown"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_field_from_a_newer_writer_is_ignored(example: Example) -> None:
    more = {"field_of_tomorrow": {"anything": [1, None, "x"]}}
    assert catalog.decode(example.wire_type, json.dumps({**example.value, **more}).encode()) == catalog.decode(
        example.wire_type, example.path.read_bytes()
    )


def test_a_known_word_is_itself() -> None:
    event = read("verification-assessed", action="block")
    assert isinstance(event, VerificationAssessed)
    assert event.action is Action.BLOCK


def test_a_newer_major_is_refused_with_its_number() -> None:
    with pytest.raises(UnreadableEvent, match=r"^version 3 of attempt-made is not known to this reader$"):
        catalog.decode("otp.attempt-made.v3", b"{}")


@pytest.mark.parametrize(
    "wire_type",
    ["", "otp", "otp.code-issued", "otp.code-issued.v", "otp.code-issued.v0", "otp.code-issued.v01", "code-issued.v1",
     "otp.code-issued.v-1", "otp.code-issued.v1.0", "otp.code-issued.v²", "otp.CODE-ISSUED.v1",
     "otp.otp.code-issued.v1", "otp.code-issued.v" + "9" * 5000],
)  # fmt: skip
def test_a_type_nobody_knows_is_refused(wire_type: str) -> None:
    with pytest.raises(UnreadableEvent, match="unknown event type"):
        catalog.decode(wire_type, b"{}")


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"null", b"\xff", b'"text"', b'{"tenant":"\\ud800"}', b'{"x":NaN}', b'{"x":1e400}',
     b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 100_000],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("wire_type", WIRE_TYPES)
def test_a_value_that_is_no_event_is_unreadable(wire_type: str, value: bytes | None) -> None:
    with pytest.raises(UnreadableEvent):
        catalog.decode(wire_type, value)


@given(st.sampled_from(WIRE_TYPES), st.binary(max_size=200))
def test_bytes_without_sense_are_unreadable_and_nothing_worse(wire_type: str, value: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        catalog.decode(wire_type, value)


@pytest.mark.parametrize(
    ("wire_type", "value", "up_to_the_reader"),
    [
        ("otp.attempt-made.v99", b"{}", True),
        ("otp.event-of-tomorrow.v1", b"{}", True),
        ("otp.code-issued.v1", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", True),
        ("otp.code-issued.v1", b"{", False),
        ("otp.code-issued.v1", b"[]", False),
        ("otp.code-issued.v1", b'{"verification_id": 7}', False),
    ],
)
def test_only_another_reader_may_read_what_this_one_cannot(
    wire_type: str, value: bytes, up_to_the_reader: bool
) -> None:
    with pytest.raises(UnreadableEvent) as refused:
        catalog.decode(wire_type, value)
    assert catalog.is_up_to_the_reader(str(refused.value)) is up_to_the_reader


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_an_event_with_any_field_spoilt_is_read_or_unreadable_and_nothing_worse(example: Example, data: Any) -> None:
    field = data.draw(st.sampled_from(sorted(example.folder.schema(example.version)["properties"])))
    value = json.dumps({**example.value, field: data.draw(JSON)}).encode()
    try:
        event = catalog.decode(example.wire_type, value)
    except UnreadableEvent as refused:
        assert len(str(refused)) <= 200
    else:
        assert type(event) is example.struct


@pytest.mark.parametrize("name", STRUCTS)
def test_an_event_that_lacks_a_required_field_is_unreadable(name: str) -> None:
    for field in minimal(name):
        value = json.dumps({other: held for other, held in minimal(name).items() if other != field}).encode()
        with pytest.raises(UnreadableEvent, match=f"`{field}`"):
            catalog.decode(f"otp.{name}.v{STRUCTS[name].MAJOR}", value)


def test_what_is_said_of_an_unreadable_event_holds_nothing_of_it() -> None:
    value = json.dumps({**minimal("verification-submitted"), "to": ["+61491570156"]}).encode()
    with pytest.raises(UnreadableEvent) as refused:
        catalog.decode("otp.verification-submitted.v1", value)
    assert "491570156" not in str(refused.value)
