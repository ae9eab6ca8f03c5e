"""Calls made from our own OpenAPI document: what it allows, and what is a small step beside it. Pure.

Every schema word that our document uses is understood, and an unknown one raises KeyError, so that a word that comes
to be used later is not passed over.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

Json = Any
_SILENT = {"title", "description", "default", "format"}
JUNK: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    told: Mapping[str, Any] = field(repr=False)

    @property
    def codes(self) -> dict[int, set[str]]:
        """The words of the problems it may answer, by status; an empty set where the answer is no problem."""
        found = {}
        for status, answer in self.told["responses"].items():
            _, _, words = answer["description"].rstrip(".").partition("One of: ")
            found[int(status)] = set(filter(None, words.split(", ")))
        return found

    def schema_of(self, status: int) -> dict[str, Any] | None:
        """What the body of an answer with this status is."""
        [content] = self.told["responses"][str(status)]["content"].values()
        schema: dict[str, Any] = content["schema"]
        return schema


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    path: str
    body: bytes | None
    headers: dict[str, str]


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every operation that wants a key."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if "security" in told:
                yield Operation(method.upper(), path, told)


def calls(operation: Operation, document: Mapping[str, Any], ids: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    """Requests of an operation. `ids` are what stands in its path."""
    schemas = document["components"]["schemas"]
    parameters = operation.told["parameters"]
    queries = {one["name"]: one for one in parameters if one["in"] == "query"}
    headers = {one["name"]: one for one in parameters if one["in"] == "header"}
    content = operation.told.get("requestBody", {}).get("content", {}).get("application/json")

    @st.composite
    def made(draw: st.DrawFn) -> Call:
        query = {name: draw(_worded(one["schema"], schemas)) for name, one in queries.items() if draw(st.booleans())}
        named = {
            name: draw(_header(one["schema"], schemas))
            for name, one in headers.items()
            if name != "Prefer" and draw(st.booleans())
        }
        path = operation.path.replace("{id}", draw(ids)) + (f"?{urlencode(query)}" if query else "")
        body = json.dumps(draw(_near(content["schema"], schemas))).encode() if content else None
        return Call(path, body, named)

    return made()


def _worded(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """A value as it stands in a query: mostly as allowed."""
    return st.one_of(values(schema, schemas).map(str), st.text(st.characters(codec="utf-8"), max_size=30))


def _header(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[str]:
    odd = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=210).map(str.strip)
    return st.one_of(values(schema, schemas), odd)


def _near(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    """What the schema allows, or that with one thing wrong."""

    @st.composite
    def made(draw: st.DrawFn) -> Json:
        value = draw(values(schema, schemas))
        step = draw(st.sampled_from(["none", "none", "replace", "drop", "add", "junk"]))
        if step == "junk" or not isinstance(value, dict):
            return draw(JUNK)
        if step == "add":
            value[draw(st.text(max_size=8))] = draw(JUNK)
        elif value and step in ("replace", "drop"):
            name = draw(st.sampled_from(sorted(value)))
            value.pop(name)
            if step == "replace":
                value[name] = draw(JUNK)
        return value

    return made()


def values(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    """What a schema allows."""
    if "$ref" in schema:
        return values(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return st.one_of([values(one, schemas) for one in schema["anyOf"]])
    return _KINDS[schema["type"]]({name: one for name, one in schema.items() if name not in _SILENT}, schemas)


def _text(schema: dict[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    least, most = schema.pop("minLength", 0), schema.pop("maxLength", 300)
    pattern = schema.pop("pattern", "")
    _nothing_left(schema)
    if pattern:
        exact = pattern.removesuffix("$") + r"\Z"
        return st.from_regex(exact).filter(lambda text: least <= len(text) <= most)
    return st.one_of(_NUMBERS, st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, 40)))


def _integer(schema: dict[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    least, most = schema.pop("minimum"), schema.pop("maximum")
    _nothing_left(schema)
    return st.integers(least, most)


def _object(schema: dict[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    required = set(schema.pop("required", []))
    fields = {name: values(one, schemas) for name, one in schema.pop("properties", {}).items()}
    names, others, most = (
        schema.pop(name, None) for name in ("propertyNames", "additionalProperties", "maxProperties")
    )
    _nothing_left(schema)
    if isinstance(others, dict):
        return st.dictionaries(_text(dict(names or {}), schemas), values(others, schemas), max_size=min(most or 3, 3))
    needed = {name: one for name, one in fields.items() if name in required}
    return st.fixed_dictionaries(needed, optional={name: one for name, one in fields.items() if name not in required})


def _nothing_left(schema: Mapping[str, Any]) -> None:
    if unknown := set(schema) - {"type"}:
        raise KeyError(f"no values are made for {sorted(unknown)}")


def _boolean(schema: dict[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    return st.booleans()


def _null(schema: dict[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    return st.none()


_KINDS = {"string": _text, "integer": _integer, "object": _object, "boolean": _boolean, "null": _null}
_NUMBERS = st.integers(9_000_000_000, 9_999_999_999).map("+91{}".format)
