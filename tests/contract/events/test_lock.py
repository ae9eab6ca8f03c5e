"""A published file never changes, and what stands between a change and its release is said in words."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.events.contract_cases import SCHEMAS
from watchword.contracts.check import problems
from watchword.contracts.dictionary import DICTIONARY_FILE, write
from watchword.contracts.lock import LOCK_FILE, Drift, PublishedFileChanged, digests, drift, locked, publish

SCHEMA = "50-code-issued/v1.1.schema.json"
NEXT_MINOR = "50-code-issued/v1.2.schema.json"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def with_another_minor(schemas: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Add version 1.2 of code-issued: 1.1 with `change` made to its fields."""
    schema = json.loads((schemas / SCHEMA).read_text())
    change(schema["properties"])
    (schemas / NEXT_MINOR).write_text(json.dumps(schema))
    shutil.copytree(schemas / "50-code-issued/v1.1.examples", schemas / "50-code-issued/v1.2.examples")


def test_what_is_published_is_what_was_published() -> None:
    assert drift(SCHEMAS) == Drift()
    assert len(locked(SCHEMAS)) == len(digests(SCHEMAS)) > 50


def test_the_contract_as_it_stands_has_no_problem() -> None:
    assert problems(SCHEMAS) == ()


@pytest.mark.parametrize("path", [SCHEMA, "70-attempt-made/v1.upcast/full.json", "envelope.v1.schema.json"])
def test_a_changed_file_is_refused_and_nothing_is_locked(schemas: Path, path: str) -> None:
    (schemas / path).write_text((schemas / path).read_text() + " ")
    (schemas / "50-code-issued/v1.examples/new.json").write_text("{}")
    before = (schemas / LOCK_FILE).read_bytes()
    with pytest.raises(PublishedFileChanged, match=path):
        publish(schemas)
    assert (schemas / LOCK_FILE).read_bytes() == before
    assert f"{path} was published and has changed; put it back and add a version instead" in problems(schemas)


def test_a_removed_file_is_refused(schemas: Path) -> None:
    (schemas / "50-code-issued/v1.examples/full.json").unlink()
    with pytest.raises(PublishedFileChanged, match=r"full\.json"):
        publish(schemas)


def test_a_new_file_is_added_and_the_others_keep_their_digests(schemas: Path) -> None:
    before = locked(schemas)
    with_another_minor(schemas, lambda fields: fields.update(more={"type": "string"}))
    assert publish(schemas) == (
        "50-code-issued/v1.2.examples/full.json",
        "50-code-issued/v1.2.examples/minimal.json",
        NEXT_MINOR,
    )
    assert before.items() < locked(schemas).items()
    assert publish(schemas) == ()


def test_a_first_lock_holds_every_file(schemas: Path) -> None:
    (schemas / LOCK_FILE).unlink()
    assert set(publish(schemas)) == set(digests(schemas))


@pytest.mark.parametrize("line", ["abc  x.json", "no digest at all", f"{'0' * 64} x.json", f"{'0' * 64}  x\n" * 2])
def test_a_lock_that_holds_something_else_is_refused(schemas: Path, line: str) -> None:
    (schemas / LOCK_FILE).write_text(line)
    with pytest.raises(ValueError, match="no digest"):
        drift(schemas)


def test_a_minor_that_breaks_is_told_with_the_field_and_whom_it_hurts(schemas: Path) -> None:
    with_another_minor(schemas, lambda fields: fields.update(digits={"type": "string"}))
    assert any(
        problem.startswith("code-issued 1.1 to 1.2: digits: type integer became string")
        and problem.endswith("(hurts old and new readers)")
        for problem in problems(schemas)
    )


def test_a_version_that_skips_one_is_told(schemas: Path) -> None:
    shutil.copy(schemas / SCHEMA, schemas / "50-code-issued/v3.schema.json")
    assert "code-issued: versions are not counted without gaps from 1.0" in problems(schemas)


def test_a_version_without_examples_is_told(schemas: Path) -> None:
    shutil.copy(schemas / SCHEMA, schemas / NEXT_MINOR)
    assert "code-issued 1.2: at least two examples are asked for, minimal.json and full.json" in problems(schemas)


def test_an_example_that_does_not_fit_is_told(schemas: Path) -> None:
    (schemas / "50-code-issued/v1.examples/odd.json").write_text("{}")
    assert any("example odd.json" in problem for problem in problems(schemas))


def test_a_schema_that_is_none_is_told(schemas: Path) -> None:
    (schemas / NEXT_MINOR).write_text('{"type": "nonsense"}')
    assert any(problem.startswith("code-issued 1.2: not a JSON Schema") for problem in problems(schemas))


def test_a_dictionary_that_is_behind_is_told_and_written_anew(schemas: Path) -> None:
    (schemas / DICTIONARY_FILE).write_text("old")
    assert [problem.split()[0] for problem in problems(schemas)] == [DICTIONARY_FILE]
    write(schemas)
    assert problems(schemas) == ()
