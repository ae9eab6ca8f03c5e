"""Every rule of compatibility, with a change that it must name and a near one that it must let pass."""

from typing import Any

import pytest

from watchword.contracts.compatibility import (
    BOTH,
    NEW_READERS,
    NOBODY,
    OLD_READERS,
    Finding,
    Rule,
    compare,
    compare_all,
)

TEXT = {"type": "string"}
COUNT = {"type": "integer"}


def event(required: tuple[str, ...] = (), /, **fields: Any) -> dict[str, Any]:
    """A schema of an event with these fields."""
    return {"type": "object", "required": list(required), "properties": fields}


def breaking(older: dict[str, Any], newer: dict[str, Any]) -> list[Finding]:
    return [finding for finding in compare(older, newer) if finding.breaking]


# rule, what was, what it must name, whom that hurts, and what it must let pass
CASES: list[tuple[Rule, Any, Any, str, Any]] = [
    (Rule.ADDED_OPTIONAL, event(), event(a=TEXT), NOBODY, event()),
    (Rule.ADDED_REQUIRED, event(), event(("a",), a=TEXT), NEW_READERS, event(a=TEXT)),
    (Rule.REMOVED, event(a=TEXT), event(), BOTH, event(a=TEXT, b=COUNT)),
    (Rule.RENAMED, event(a=TEXT), event(b=TEXT), BOTH, event(a=TEXT, b=TEXT)),
    (Rule.NOW_REQUIRED, event(a=TEXT), event(("a",), a=TEXT), NEW_READERS, event(a=TEXT)),
    (Rule.NO_LONGER_REQUIRED, event(("a",), a=TEXT), event(a=TEXT), OLD_READERS, event(("a",), a=TEXT, b=TEXT)),
    (Rule.TYPE, event(a=TEXT), event(a=COUNT), BOTH, event(a={"type": ["string"]})),
    (Rule.FORMAT, event(a=TEXT), event(a={**TEXT, "format": "uuid"}), BOTH, event(a={**TEXT, "x-unit": "id"})),
    (Rule.PATTERN, event(a={**TEXT, "pattern": "^a$"}), event(a={**TEXT, "pattern": "^[ab]$"}), BOTH,
     event(a={**TEXT, "pattern": "^a$", "title": "A"})),
    (Rule.CONST, event(a={"const": 1}), event(a={"const": 2}), BOTH, event(a={"const": 1, "$comment": "one"})),
    (Rule.PII, event(a={**TEXT, "x-pii": "clear"}), event(a={**TEXT, "x-pii": "none"}), BOTH,
     event(a={**TEXT, "x-pii": "clear", "description": "A."})),
    (Rule.ENUM_NARROWED, event(a={"enum": ["x", "y"]}), event(a={"enum": ["x"]}), NEW_READERS,
     event(a={"enum": ["y", "x"]})),
    (Rule.ENUM_WIDENED, event(a={"enum": ["x"]}), event(a={"enum": ["x", "y"]}), OLD_READERS, event(a={"enum": ["x"]})),
    (Rule.ENUM_CLOSED, event(a=TEXT), event(a={**TEXT, "enum": ["x"]}), NEW_READERS,
     event(a={**TEXT, "x-open-enum": ["x"]})),
    (Rule.ENUM_OPENED, event(a={**TEXT, "enum": ["x"]}), event(a=TEXT), OLD_READERS, event(a={**TEXT, "enum": ["x"]})),
    (Rule.WORD_ADDED, event(a={"x-open-enum": ["x"]}), event(a={"x-open-enum": ["x", "y"]}), NOBODY,
     event(a={"x-open-enum": ["x"]})),
    (Rule.WORD_REMOVED, event(a={"x-open-enum": ["x", "y"]}), event(a={"x-open-enum": ["x"]}), NEW_READERS,
     event(a={"x-open-enum": ["y", "x"]})),
    (Rule.NARROWED, event(a={**TEXT, "maxLength": 9}), event(a={**TEXT, "maxLength": 8}), NEW_READERS,
     event(a={**TEXT, "maxLength": 9})),
    (Rule.WIDENED, event(a={**COUNT, "minimum": 1}), event(a={**COUNT, "minimum": 0}), OLD_READERS,
     event(a={**COUNT, "minimum": 1})),
    (Rule.CLOSED, event(), event() | {"additionalProperties": False}, NEW_READERS,
     event() | {"additionalProperties": True}),
    (Rule.UNJUDGED, event(), event() | {"if": {}}, BOTH, event() | {"$defs": {"a": TEXT}}),
    (Rule.TEXT, event(), event() | {"description": "Other."}, NOBODY, event()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "older", "newer", "hurts", "_near"), CASES, ids=[case[0].value for case in CASES])
def test_a_change_is_named_with_whom_it_hurts(rule: Rule, older: Any, newer: Any, hurts: str, _near: Any) -> None:
    assert [(finding.rule, finding.hurts) for finding in compare(older, newer) if finding.rule == rule] == [
        (rule, hurts)
    ]
    assert bool(breaking(older, newer)) == (hurts != NOBODY)


@pytest.mark.parametrize(("_rule", "older", "_newer", "_hurts", "near"), CASES, ids=[case[0].value for case in CASES])
def test_a_near_change_that_hurts_nobody_passes(_rule: Rule, older: Any, _newer: Any, _hurts: str, near: Any) -> None:
    assert breaking(older, near) == []


def test_every_rule_has_its_cases() -> None:
    assert [case[0] for case in CASES] == list(Rule)


@pytest.mark.parametrize(
    ("older", "newer", "rule", "hurts"),
    [
        ({"type": "integer"}, {"type": "number"}, Rule.TYPE, OLD_READERS),
        ({"type": "number"}, {"type": "integer"}, Rule.TYPE, NEW_READERS),
        ({"type": "string"}, {"type": ["string", "null"]}, Rule.TYPE, OLD_READERS),
        ({"type": ["string", "null"]}, {"type": "string"}, Rule.TYPE, NEW_READERS),
        ({}, {"type": "string"}, Rule.TYPE, NEW_READERS),
        ({"type": "string"}, {}, Rule.TYPE, OLD_READERS),
        ({"maximum": 5}, {}, Rule.WIDENED, OLD_READERS),
        ({}, {"maximum": 5}, Rule.NARROWED, NEW_READERS),
        ({"maximum": 5}, {"maximum": 6}, Rule.WIDENED, OLD_READERS),
        ({"minLength": 1}, {"minLength": 2}, Rule.NARROWED, NEW_READERS),
        ({}, {"minItems": 1}, Rule.NARROWED, NEW_READERS),
        ({}, {"anyOf": [{"type": "string"}]}, Rule.UNJUDGED, BOTH),
        ({}, {"multipleOf": 5}, Rule.UNJUDGED, BOTH),
        ({}, {"propertyNames": {"maxLength": 3}}, Rule.UNJUDGED, BOTH),
        ({}, {"additionalProperties": TEXT}, Rule.NARROWED, NEW_READERS),
        ({"additionalProperties": TEXT}, {}, Rule.WIDENED, OLD_READERS),
        ({"additionalProperties": TEXT}, {"additionalProperties": COUNT}, Rule.TYPE, BOTH),
        ({"additionalProperties": TEXT}, {"additionalProperties": False}, Rule.CLOSED, BOTH),
        ({"items": TEXT}, {"items": COUNT}, Rule.TYPE, BOTH),
        ({"items": event(a=TEXT)}, {"items": event()}, Rule.REMOVED, BOTH),
        ({"x-open-enum": ["x"]}, {}, Rule.WORD_REMOVED, NEW_READERS),
    ],
)
def test_a_change_deep_inside_a_field_is_found(older: Any, newer: Any, rule: Rule, hurts: str) -> None:
    found = breaking(event(outer=event(a=older)), event(outer=event(a=newer)))
    assert [(finding.rule, finding.hurts) for finding in found] == [(rule, hurts)]
    assert found[0].path.startswith("outer.a")


def test_a_field_that_may_never_come_again_is_found() -> None:
    assert [finding.rule for finding in breaking(event(a={}), event(a=False))] == [Rule.UNJUDGED]
    assert breaking(event(a={}), event(a=True)) == []


def test_a_requirement_without_a_field_is_found() -> None:
    assert [finding.rule for finding in breaking(event(), event(("a",)))] == [Rule.NOW_REQUIRED]


def test_a_definition_that_moved_is_no_change_and_one_that_changed_is() -> None:
    by_reference = event(a={"$ref": "#/$defs/word"}) | {"$defs": {"word": TEXT}}
    assert breaking(event(a=TEXT), by_reference) == []
    assert [finding.rule for finding in breaking(event(a=COUNT), by_reference)] == [Rule.TYPE]


@pytest.mark.parametrize("reference", ["#/$defs/none", "https://example.com/x", "#/$defs/round"])
def test_a_reference_that_cannot_be_followed_is_refused(reference: str) -> None:
    schema = event(a={"$ref": reference}) | {"$defs": {"round": {"$ref": "#/$defs/round"}}}
    with pytest.raises(ValueError, match="reference"):
        compare(schema, schema)


def test_a_name_that_comes_back_as_something_else_is_found_across_versions() -> None:
    found = compare_all({"1.0": event(a=TEXT), "1.1": event(), "1.2": event(a=COUNT)})
    assert [finding.rule for finding in found["1.1", "1.2"] if finding.breaking] == []
    assert [finding.rule for finding in found["1.0", "1.2"] if finding.breaking] == [Rule.TYPE]


def test_a_finding_reads_like_a_sentence() -> None:
    (found,) = breaking(event(a=TEXT), event(b=TEXT))
    assert str(found) == "a: renamed to b (hurts old and new readers)"
    (added,) = compare(event(), event(a=TEXT))
    assert str(added) == "a: added_optional"
