"""Every example is what its schema says, what the struct reads, and what the struct would write."""

from typing import Any

import msgspec
import pytest

from tests.contract.events.contract_cases import EXAMPLES, FOLDERS, Example, leaves
from watchword.contracts.folder import EventFolder, Version, read_json
from watchword.contracts.inbox import compiled
from watchword.events import catalog, envelope

VERSIONS = [(folder, version) for folder in FOLDERS for version in folder.versions]
SUPERSEDED = [example for example in EXAMPLES if example.version.major < example.struct.MAJOR]


def is_part_of(part: Any, whole: Any) -> bool:
    """Whether `part` says nothing that `whole` does not say."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and is_part_of(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(is_part_of, part, whole))
    return bool(part == whole)


def words_of(value: Any, path: str) -> list[Any]:
    """Whatever stands at a path such as `reasons.code` in a value, lists opened."""
    found = [value]
    for name in path.split("."):
        opened = [inner for outer in found for inner in (outer if isinstance(outer, list) else [outer])]
        found = [outer[name] for outer in opened if name in outer]
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_meets_its_schema(example: Example) -> None:
    flaws = [flaw.message for flaw in compiled(example.folder.schema(example.version)).iter_errors(example.value)]
    assert flaws == []


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_of_any_version_is_read_as_the_newest(example: Example) -> None:
    event = catalog.decode(example.wire_type, example.path.read_bytes())
    assert type(event) is example.struct
    assert catalog.decode(envelope.type_of(example.struct), envelope.encode(event)) == event


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.is_newest], ids=str)
def test_what_is_written_again_says_nothing_the_example_did_not_say(example: Example) -> None:
    event = catalog.decode(example.wire_type, example.path.read_bytes())
    written = msgspec.json.decode(envelope.encode(event))
    assert is_part_of(written, example.value)
    assert compiled(example.folder.schema(example.version)).is_valid(written)


@pytest.mark.parametrize("example", SUPERSEDED, ids=str)
def test_an_old_example_becomes_what_was_recorded_for_it(example: Example) -> None:
    (golden,) = [path for path in example.folder.upcast(example.version) if path.name == example.path.name]
    event = catalog.decode(example.wire_type, example.path.read_bytes())
    assert msgspec.json.decode(envelope.encode(event)) == read_json(golden)
    assert compiled(example.folder.schema(example.folder.versions[-1])).is_valid(read_json(golden))


def test_at_least_one_event_has_gone_through_a_real_second_version() -> None:
    assert {str(example) for example in SUPERSEDED} == {
        "attempt-made-1.0-full",
        "attempt-made-1.0-minimal",
        "attempt-made-1.0-price-without-fraction",
        "signal-observed-1.0-full",
        "signal-observed-1.0-minimal",
    }


@pytest.mark.parametrize(("folder", "version"), VERSIONS, ids=lambda part: getattr(part, "name", str(part)))
def test_a_version_shows_its_least_and_its_most(folder: EventFolder, version: Version) -> None:
    schema = folder.schema(version)
    examples = {path.stem: read_json(path) for path in folder.examples(version)}
    assert set(examples["minimal"]) == set(schema["required"])
    assert set(examples["full"]) == set(schema["properties"])
    assert [path for path, _ in leaves(schema) if not words_of(examples["full"], path)] == []


@pytest.mark.parametrize(("folder", "version"), VERSIONS, ids=lambda part: getattr(part, "name", str(part)))
def test_examples_use_the_words_the_schema_names(folder: EventFolder, version: Version) -> None:
    named = {path: field["x-open-enum"] for path, field in leaves(folder.schema(version)) if "x-open-enum" in field}
    strange = [
        (path.name, field, word)
        for path in folder.examples(version)
        for field, words in named.items()
        for word in words_of(read_json(path), field)
        if word not in words
    ]
    assert strange == []
