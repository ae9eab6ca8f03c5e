"""The struct of each event is its newest schema, field by field."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from tests.contract.events.contract_cases import FOLDERS, STRUCTS
from watchword.contracts.folder import EventFolder, Version
from watchword.events import envelope
from watchword.kernel.event import Event


@dataclass(frozen=True)
class Shape:
    """What a field may hold, said the same way for a schema and for a struct. `kind` is a JSON type or a format."""

    kind: str
    words: frozenset[str] = frozenset()
    fields: dict[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    inner: "Shape | None" = None


def of_schema(schema: Any) -> Shape:
    """The shape a schema describes."""
    if schema["type"] == "object" and "properties" in schema:
        fields = {name: of_schema(inner) for name, inner in schema["properties"].items()}
        return Shape("object", fields=fields, required=frozenset(schema.get("required", ())))
    if schema["type"] == "object":
        return Shape("map", inner=of_schema(schema["additionalProperties"]))
    if schema["type"] == "array":
        return Shape("array", inner=of_schema(schema["items"]))
    return Shape(schema.get("format", schema["type"]), words=frozenset(schema.get("x-open-enum", ())))


SCALARS: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.UUIDType: "uuid",
    inspect.DateTimeType: "date-time",
}


def of_type(told: inspect.Type) -> Shape:
    """The shape msgspec reads. None stands for a field that is left out, so it is no type of its own on the wire."""
    match told:
        case inspect.StructType(fields=fields):
            return Shape(
                "object",
                fields={field.encode_name: of_type(field.type) for field in fields},
                required=frozenset(field.encode_name for field in fields if field.required),
            )
        case inspect.UnionType(types=types):
            (left,) = [inner for inner in types if not isinstance(inner, inspect.NoneType)]
            return of_type(left)
        case inspect.DictType(value_type=value):
            return Shape("map", inner=of_type(value))
        case inspect.VarTupleType(item_type=item):
            return Shape("array", inner=of_type(item))
        case inspect.EnumType(cls=words):
            return Shape("string", words=frozenset(word.value for word in words))
    return Shape(SCALARS[type(told)])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_struct_is_its_newest_schema(folder: EventFolder) -> None:
    assert of_type(inspect.type_info(STRUCTS[folder.name])) == of_schema(folder.schema(folder.versions[-1]))


@pytest.mark.parametrize("event", STRUCTS.values(), ids=lambda event: event.NAME)
def test_a_struct_says_which_schema_it_is(event: type[Event]) -> None:
    (folder,) = [folder for folder in FOLDERS if folder.name == event.NAME]
    assert folder.versions[-1] == Version(event.MAJOR, event.MINOR)
    assert folder.schema(folder.versions[-1])["$id"] == envelope.schema_of(event)


def test_a_difference_in_any_respect_is_seen() -> None:
    class Inner(msgspec.Struct):
        word: str

    class Told(msgspec.Struct):
        inner: Inner
        count: int = 0

    schema = {
        "type": "object",
        "required": ["inner"],
        "properties": {
            "inner": {"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}},
            "count": {"type": "integer"},
        },
    }
    told = of_type(inspect.type_info(Told))
    assert told == of_schema(schema)
    assert told != of_schema({**schema, "required": []})
    assert told != of_schema({**schema, "required": ["inner", "count"]})
    assert told != of_schema({**schema, "properties": {**schema["properties"], "count": {"type": "number"}}})  # type: ignore[dict-item]
    assert told != of_schema({**schema, "properties": {"inner": schema["properties"]["inner"]}})  # type: ignore[index]
    assert told != of_schema({**schema, "properties": {**schema["properties"], "more": {"type": "string"}}})  # type: ignore[dict-item]
