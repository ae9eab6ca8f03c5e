"""A small language for picking events: `state = approved and reasons[*].code = range_blocked`.

Paths name fields of an entry's document (entry.py), `$.` in front is allowed; `[2]` takes an element, `[*]` any. A path
alone asks whether there is such a field, and it is neither empty, zero nor false. Operators are = != < <= > >= and
contains; not, and, or bind in this order, brackets group. Nothing is evaluated but this: no calls, no arithmetic, no
patterns.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

TEXT_MAX: Final = 2_000
DEPTH_MAX: Final = 20

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<operator>!=|<=|>=|==|=|<|>)|(?P<bracket>[()])|(?P<word>[^\s()=!<>"']+))"""
)
_STEP = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<index>\d{1,6}|\*)\]")
_PATH = re.compile(r"(?:\$\.?)?(?P<steps>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*|\[(?:\d{1,6}|\*)\])*)")
_NOTHING: Final = object()

Predicate = Callable[[Mapping[str, Any]], bool]
Step = str | int | None


class WhereError(ValueError):
    """The expression cannot be read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def where(text: str) -> Predicate:
    """The predicate that `text` writes. Raises WhereError."""
    if len(text) > TEXT_MAX:
        raise WhereError(f"the expression is longer than {TEXT_MAX} characters")
    reading = _Reading(list(_tokens(text)))
    predicate = reading.either(0)
    reading.ended()
    return predicate


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise WhereError(f"cannot read {text[at : at + 20]!r} at character {at + 1}")
        kind = found.lastgroup or ""
        yield _Token(kind, found[kind], found.start(kind) + 1)
        at = found.end()


class _Reading:
    """Reads tokens from left to right; each method answers the predicate of one level of binding."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def either(self, depth: int) -> Predicate:
        first = self._both(depth)
        while self._takes("word", "or"):
            first = _either(first, self._both(depth))
        return first

    def ended(self) -> None:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            raise WhereError(f"{token.text!r} at character {token.at} follows a complete expression")

    def _both(self, depth: int) -> Predicate:
        first = self._one(depth)
        while self._takes("word", "and"):
            first = _both(first, self._one(depth))
        return first

    def _one(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            raise WhereError(f"brackets and nots are nested deeper than {DEPTH_MAX}")
        if self._takes("word", "not"):
            return _no(self._one(depth + 1))
        if self._takes("bracket", "("):
            inner = self.either(depth + 1)
            if not self._takes("bracket", ")"):
                raise WhereError("a bracket is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        steps = _steps(self._taken("a field", "word"))
        operator = self._peek()
        if operator is not None and (operator.kind == "operator" or operator.text == "contains"):
            self._next += 1
            literal = self._taken("a value", "word", "text")
            quoted = literal.kind == "text"
            return _compares(steps, operator.text, literal.text[1:-1] if quoted else literal.text)
        return lambda document: any(bool(value) for value in _values(document, steps))

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _takes(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token is None or (token.kind, token.text) != (kind, text):
            return False
        self._next += 1
        return True

    def _taken(self, what: str, *kinds: str) -> _Token:
        token = self._peek()
        if token is None:
            raise WhereError(f"the expression ends where {what} is expected")
        if token.kind not in kinds:
            raise WhereError(f"{token.text!r} at character {token.at} stands where {what} is expected")
        self._next += 1
        return token


def _steps(token: _Token) -> tuple[Step, ...]:
    """The way to a field: names, positions, None for any element."""
    found = _PATH.fullmatch(token.text)
    if found is None or token.text in ("and", "or", "contains"):
        raise WhereError(f"{token.text!r} at character {token.at} is not the name of a field")
    return tuple(
        step["name"] or (None if step["index"] == "*" else int(step["index"]))
        for step in _STEP.finditer(found["steps"])
    )


def _values(value: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    """Every value that the steps lead to."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(value, Mapping) and (inner := value.get(step, _NOTHING)) is not _NOTHING:
            yield from _values(inner, rest)
    elif isinstance(value, list | tuple):
        chosen = value if step is None else value[step : step + 1]
        for inner in chosen:
            yield from _values(inner, rest)


def _either(one: Predicate, other: Predicate) -> Predicate:
    return lambda document: one(document) or other(document)


def _both(one: Predicate, other: Predicate) -> Predicate:
    return lambda document: one(document) and other(document)


def _no(one: Predicate) -> Predicate:
    return lambda document: not one(document)


def _compares(steps: tuple[Step, ...], operator: str, literal: str) -> Predicate:
    if operator == "!=":
        return lambda document: not any(_equal(value, literal) for value in _values(document, steps))
    test = _TESTS[operator]
    return lambda document: any(test(value, literal) for value in _values(document, steps))


def _equal(value: Any, literal: str) -> bool:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value] == literal
    if isinstance(value, int | float):
        number = _number(literal)
        return number is not None and value == number
    return bool(value == literal)


def _order(value: Any, literal: str) -> int | None:
    """-1, 0 or 1 as `value` stands to `literal`, None where they cannot be compared. Times are texts of one form."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    other = literal if isinstance(value, str) else _number(literal)
    if other is None:
        return None
    return (value > other) - (value < other)  # type: ignore[operator]  # both are texts, or both numbers


def _number(literal: str) -> float | None:
    try:
        return float(literal)
    except ValueError:
        return None


_TESTS: Mapping[str, Callable[[Any, str], bool]] = {
    "=": _equal,
    "==": _equal,
    "<": lambda value, literal: _order(value, literal) == -1,
    "<=": lambda value, literal: _order(value, literal) in (-1, 0),
    ">": lambda value, literal: _order(value, literal) == 1,
    ">=": lambda value, literal: _order(value, literal) in (0, 1),
    "contains": lambda value, literal: isinstance(value, str) and literal in value,
}
