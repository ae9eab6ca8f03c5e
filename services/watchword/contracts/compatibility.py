"""Whether one version of a schema can stand beside another: pure, two schemas in, findings out.

Both directions count. New readers meet old records for as long as anything may be replayed, and old readers meet new
records until the last of them is upgraded; so inside a major only what hurts neither is allowed. Every rule is about
the open content model: fields a reader does not know are ignored. A keyword without a rule breaks: what this module
cannot judge, it does not let pass.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

Schema = Mapping[str, Any]

OLD_READERS = "old readers"
NEW_READERS = "new readers"
BOTH = "old and new readers"
NOBODY = ""

_TEXTS = frozenset({"$id", "$schema", "$comment", "title", "description", "examples", "x-unit", "$defs"})
_BY_RULE = frozenset({"type", "required", "properties", "items", "additionalProperties", "enum", "x-open-enum"})
_LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_KEPT_AS_THEY_ARE = frozenset({"pattern", "format", "const", "x-pii"})
_WIDER = {"integer": "number"}


class Rule(StrEnum):
    """What changed."""

    ADDED_OPTIONAL = "added_optional"
    ADDED_REQUIRED = "added_required"
    REMOVED = "removed"
    RENAMED = "renamed"
    NOW_REQUIRED = "now_required"
    NO_LONGER_REQUIRED = "no_longer_required"
    TYPE = "type"
    FORMAT = "format"
    PATTERN = "pattern"
    CONST = "const"
    PII = "x-pii"
    ENUM_NARROWED = "enum_narrowed"
    ENUM_WIDENED = "enum_widened"
    ENUM_CLOSED = "enum_closed"
    ENUM_OPENED = "enum_opened"
    WORD_ADDED = "word_added"
    WORD_REMOVED = "word_removed"
    NARROWED = "narrowed"
    WIDENED = "widened"
    CLOSED = "closed"
    UNJUDGED = "unjudged"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Finding:
    """One change. `path` leads to the field, such as `signals.ip_token`, "" for the event itself; `hurts` says who
    could no longer read, "" where nobody is hurt; `detail` is for a person."""

    path: str
    rule: Rule
    hurts: str
    detail: str = ""

    @property
    def breaking(self) -> bool:
        return self.hurts != NOBODY

    def __str__(self) -> str:
        return f"{self.path or 'event'}: {self.rule} {self.detail}".rstrip() + (
            f" (hurts {self.hurts})" if self.breaking else ""
        )


def compare(older: Schema, newer: Schema) -> tuple[Finding, ...]:
    """Every change from `older` to `newer`. Raises ValueError for a reference that leads nowhere, outside the file or
    in a circle."""
    return tuple(_compare(_resolved(older, older), _resolved(newer, newer), ""))


def compare_all(versions: Mapping[str, Schema]) -> Mapping[tuple[str, str], tuple[Finding, ...]]:
    """The findings for each pair of versions of one major, given oldest first: every version must stand beside every
    other, not only beside its neighbour."""
    return {(old, new): compare(versions[old], versions[new]) for old, new in combinations(versions, 2)}


def _resolved(schema: object, whole: Schema, seen: tuple[str, ...] = ()) -> Any:
    """`schema` with every `#/$defs/…` put in its place, so that a moved definition is no change."""
    if isinstance(schema, list):
        return [_resolved(part, whole, seen) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" not in schema:
        return {name: part if name == "$defs" else _resolved(part, whole, seen) for name, part in schema.items()}
    reference = schema["$ref"]
    named = str(reference).removeprefix("#/$defs/")
    if reference in seen or named == reference or named not in whole.get("$defs", {}):
        raise ValueError(f"reference {reference} leads nowhere, outside the file or in a circle")
    beside = {name: part for name, part in schema.items() if name != "$ref"}
    return {**_resolved(whole["$defs"][named], whole, (*seen, reference)), **beside}


def _compare(older: Schema, newer: Schema, path: str) -> Iterator[Finding]:
    yield from _types(older, newer, path)
    yield from _fields(older, newer, path)
    yield from _words(older, newer, path)
    yield from _content(older, newer, path)
    for keyword in sorted((older.keys() | newer.keys()) - _BY_RULE):
        if older.get(keyword) != newer.get(keyword):
            yield _keyword(keyword, older.get(keyword), newer.get(keyword), path)


def _types(older: Schema, newer: Schema, path: str) -> Iterator[Finding]:
    old, new = _type_set(older), _type_set(newer)
    if old == new:
        return
    if old and (old <= _with_wider(new) or not new):
        hurts = OLD_READERS
    elif new and (new <= _with_wider(old) or not old):
        hurts = NEW_READERS
    else:
        hurts = BOTH
    yield Finding(path, Rule.TYPE, hurts, f"{_told(old)} became {_told(new)}")


def _type_set(schema: Schema) -> frozenset[str]:
    told = schema.get("type", [])
    return frozenset([told] if isinstance(told, str) else told)


def _with_wider(types: frozenset[str]) -> frozenset[str]:
    """The types and what they contain: every integer is a number."""
    return types | {narrow for narrow, wide in _WIDER.items() if wide in types}


def _told(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) or "anything"


def _fields(older: Schema, newer: Schema, path: str) -> Iterator[Finding]:
    old, new = older.get("properties", {}), newer.get("properties", {})
    was, now = set(older.get("required", ())), set(newer.get("required", ()))
    added = [name for name in new if name not in old]
    for name in old:
        if name in new:
            yield from _obligation(_join(path, name), name in was, name in now)
            yield from _compare(_opened(old[name]), _opened(new[name]), _join(path, name))
        else:
            yield _gone(path, name, old[name], {new_name: new[new_name] for new_name in added})
    for name in added:
        if name in now:
            yield Finding(_join(path, name), Rule.ADDED_REQUIRED, NEW_READERS, "old records lack it")
        else:
            yield Finding(_join(path, name), Rule.ADDED_OPTIONAL, NOBODY)
    for name in sorted((was ^ now) - old.keys() - new.keys()):
        yield from _obligation(_join(path, name), name in was, name in now)


def _obligation(path: str, was: bool, now: bool) -> Iterator[Finding]:
    if now and not was:
        yield Finding(path, Rule.NOW_REQUIRED, NEW_READERS, "old records may lack it")
    if was and not now:
        yield Finding(path, Rule.NO_LONGER_REQUIRED, OLD_READERS, "new records may lack it")


def _gone(path: str, name: str, field: object, added: Mapping[str, object]) -> Finding:
    """A field that is no more: renamed if a new one says the same of itself, removed otherwise."""
    for other, candidate in added.items():
        if _shape(candidate) == _shape(field):
            return Finding(_join(path, name), Rule.RENAMED, BOTH, f"to {other}")
    return Finding(_join(path, name), Rule.REMOVED, BOTH, "its name may never be used again")


def _shape(field: object) -> object:
    field = _opened(field)
    return {name: part for name, part in field.items() if name not in _TEXTS - {"description"}}


def _opened(field: object) -> Schema:
    """`true` allows everything and `false` nothing; as objects they compare like any other schema."""
    if isinstance(field, Mapping):
        return field
    return {} if field is True else {"not": {}}


def _words(older: Schema, newer: Schema, path: str) -> Iterator[Finding]:
    yield from _closed_words(older.get("enum"), newer.get("enum"), path)
    old, new = older.get("x-open-enum"), newer.get("x-open-enum")
    if old is None and new is None:
        return
    for word in sorted(set(old or ()) - set(new or ())):
        yield Finding(path, Rule.WORD_REMOVED, NEW_READERS, f"{word} reads as unknown in old records")
    for word in sorted(set(new or ()) - set(old or ())):
        yield Finding(path, Rule.WORD_ADDED, NOBODY, word)


def _closed_words(old: list[object] | None, new: list[object] | None, path: str) -> Iterator[Finding]:
    if old is None and new is None:
        return
    if old is None:
        yield Finding(path, Rule.ENUM_CLOSED, NEW_READERS, "old records may hold other words")
    elif new is None:
        yield Finding(path, Rule.ENUM_OPENED, OLD_READERS, "new records may hold other words")
    else:
        if any(word not in new for word in old):
            yield Finding(path, Rule.ENUM_NARROWED, NEW_READERS, "old records hold words that are gone")
        if any(word not in old for word in new):
            yield Finding(path, Rule.ENUM_WIDENED, OLD_READERS, "new records hold words they do not know")


def _content(older: Schema, newer: Schema, path: str) -> Iterator[Finding]:
    """Open objects and lists: additionalProperties and items."""
    for keyword, inner in (("additionalProperties", "*"), ("items", "[]")):
        old, new = older.get(keyword, True), newer.get(keyword, True)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _compare(old, new, _join(path, inner))
        elif old is not True and new is True:
            yield Finding(path, Rule.WIDENED, OLD_READERS, keyword)
        elif old != new:
            rule = Rule.CLOSED if new is False else Rule.NARROWED
            yield Finding(path, rule, NEW_READERS if old is True else BOTH, keyword)


def _keyword(keyword: str, old: Any, new: Any, path: str) -> Finding:
    if keyword in _TEXTS:
        return Finding(path, Rule.TEXT, NOBODY, keyword)
    if keyword in _LOWER_BOUNDS | _UPPER_BOUNDS:
        narrower = old is None or (new is not None and (new > old) == (keyword in _LOWER_BOUNDS))
        rule, hurts = (Rule.NARROWED, NEW_READERS) if narrower else (Rule.WIDENED, OLD_READERS)
        return Finding(path, rule, hurts, f"{keyword} {old} became {new}")
    if keyword in _KEPT_AS_THEY_ARE:
        return Finding(path, Rule(keyword), BOTH, f"{old} became {new}")
    return Finding(path, Rule.UNJUDGED, BOTH, f"{keyword} has no rule here")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
