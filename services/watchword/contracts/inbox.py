"""Holding what strangers publish to the published schema, before anything looks at it.

Nothing here quotes the value: it holds a clear number, and what says no to it is logged and sent back.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs

from watchword.contracts.folder import Schema, Version, published_events, read_json, root

VALUE_BYTES_MAX = 16 * 1024
DEPTH_MAX = 8
FLAWS_MAX = 16
_SURROGATES = range(0xD800, 0xE000)
_OUR_KIND_OF_NAME = re.compile(r"[a-z_-]{1,32}[0-9]?|[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong. `pointer` is a JSON Pointer to the field, "" for the whole, "*" for a name unlike ours: it is
    the publisher's and may hold anything. `rule` is a stable word: the JSON Schema keyword that was not met, or one
    of `empty`, `too_large`, `not_json`, `duplicate_key`, `too_deep`, `nul`, `code_in_clear`, `not_utf8`."""

    pointer: str
    rule: str


class _DuplicateKey(ValueError):
    """A JSON object names a field twice."""


@lru_cache(maxsize=64)
def validator(name: str, major: int, minor: int = 0) -> jsonschema_rs.Draft202012Validator:
    """The compiled schema of one event version, formats included. Raises ContractError or KeyError."""
    return compiled(published_events()[name].schema(Version(major, minor)))


def compiled(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """A validator of `schema` that also checks formats and asks nobody for references. Raises ValueError if the
    schema is none."""
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)


def value_flaws(value: bytes | None, name: str = "verification-submitted", major: int = 1) -> tuple[Flaw, ...]:
    """What is wrong with a published value, nothing if it is good; at most FLAWS_MAX are told.

    Stricter than a JSON parser: no duplicate keys, no NUL, no lone surrogates, no NaN, at most VALUE_BYTES_MAX and
    DEPTH_MAX. Fields the schema does not know are allowed, as everywhere.
    """
    if not value:
        return (Flaw("", "empty"),)
    if len(value) > VALUE_BYTES_MAX:
        return (Flaw("", "too_large"),)
    try:
        parsed = json.loads(
            value.decode("utf-8"), object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite
        )
    except UnicodeDecodeError:
        return (Flaw("", "not_utf8"),)
    except RecursionError:
        return (Flaw("", "too_deep"),)
    except _DuplicateKey:
        return (Flaw("", "duplicate_key"),)
    except ValueError:
        return (Flaw("", "not_json"),)
    return _first(_text_flaws(parsed, "", 0)) or _first(_schema_flaws(validator(name, major), parsed))


def header_flaws(received: Iterable[tuple[str, bytes | None]]) -> tuple[Flaw, ...]:
    """What is wrong with the headers of a record by schemas/envelope.v1.schema.json; the last of repeated headers
    counts, and headers that are not part of the envelope are not looked at."""
    known = _envelope_names()
    told: dict[str, str] = {}
    for name, value in received:
        if name not in known or value is None:
            continue
        try:
            told[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            return (Flaw(f"/{name}", "not_utf8"),)
    return _first(_schema_flaws(_envelope(), told))


@lru_cache(maxsize=1)
def _envelope() -> jsonschema_rs.Draft202012Validator:
    return compiled(read_json(root() / "envelope.v1.schema.json"))


@lru_cache(maxsize=1)
def _envelope_names() -> frozenset[str]:
    return frozenset(read_json(root() / "envelope.v1.schema.json")["properties"])


def _first(flaws: Iterable[Flaw]) -> tuple[Flaw, ...]:
    told: dict[Flaw, None] = {}
    for flaw in flaws:
        told[flaw] = None
        if len(told) == FLAWS_MAX:
            break
    return tuple(told)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise _DuplicateKey
    return told


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a number JSON can hold")
    return number


def _text_flaws(value: object, pointer: str, depth: int) -> Iterator[Flaw]:
    """What JSON allows and neither Kafka's readers nor Postgres can hold, wherever it stands in the value."""
    if depth > DEPTH_MAX:
        yield Flaw("", "too_deep")
    elif isinstance(value, str):
        yield from _characters(value, pointer)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _characters(name, pointer)
            yield from _text_flaws(inner, f"{pointer}/{_shown(name)}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _text_flaws(inner, f"{pointer}/{index}", depth + 1)


def _characters(text: str, pointer: str) -> Iterator[Flaw]:
    if "\0" in text:
        yield Flaw(pointer, "nul")
    if any(ord(character) in _SURROGATES for character in text):
        yield Flaw(pointer, "not_utf8")


def _schema_flaws(schema: jsonschema_rs.Draft202012Validator, value: object) -> Iterator[Flaw]:
    for error in schema.iter_errors(value):
        yield _flaw(error)


def _flaw(error: jsonschema_rs.ValidationError) -> Flaw:
    rule = str(error.schema_path[-1]) if error.schema_path else "schema"
    path = list(error.instance_path)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        path.append(error.kind.property)
    if "propertyNames" in error.schema_path:
        rule = "code_in_clear" if rule == "not" else "propertyNames"
    return Flaw("".join(f"/{_shown(str(part))}" for part in path), rule)


def _shown(name: str) -> str:
    return name if _OUR_KIND_OF_NAME.fullmatch(name) else "*"
