"""Reads a JSON body into a struct, or says what is wrong with it without repeating any of it.

Two parsers look at the bytes: Python's, which can be asked about names that stand twice, and msgspec's, which
checks the form while it reads. What either refuses is refused.
"""

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from watchword.runtime.problems import FieldError, Problem

BODY_MAX = 16 * 1024
DEPTH_MAX = 8

S = TypeVar("S", bound=msgspec.Struct)

# Possessive, and content with a string that never closes: no body makes it look at a byte twice.
_ANY_BRACKET = re.compile(rb'"(?:[^"\\]+|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}", re.ASCII)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(\w+)`")
_SAFE = re.compile(r"Expected `[^`]*`(?:, got `[^`]*`| matching regex '[^']*'| (?:of length )?[<>]=? ?[-\d.]+)?")


class _TwiceError(ValueError):
    pass


def decode(body: bytes, struct: type[S]) -> S:
    """The struct that `body` is. Raises Problem: body_too_large, empty_body, malformed_json or malformed_body."""
    if len(body) > BODY_MAX:
        raise Problem("body_too_large")
    if not body.strip():
        raise Problem("empty_body")
    _refuse_depth(body)
    content = _content(body)
    if not isinstance(content, dict):
        raise _body_problem(FieldError(pointer="", detail="The body is a JSON object."))
    if b"\\u0000" in body and _holds_nul(content):
        raise _body_problem(FieldError(pointer="", detail="No text may hold the character NUL."))
    try:
        return msgspec.json.decode(body, type=struct)
    except msgspec.ValidationError as error:
        raise _body_problem(field_error(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem("malformed_json") from None


def _body_problem(error: FieldError) -> Problem:
    return Problem("malformed_body", errors=(error,))


def _content(body: bytes) -> Any:
    try:
        return _PYTHONS.decode(body.decode("utf-8"))
    except _TwiceError:
        raise Problem("malformed_json", "A name stands twice in one object.") from None
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Problem("malformed_json") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


# Made once: `json.loads` makes one for every call that has hooks.
_PYTHONS = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return
    depth = 0
    for found in _ANY_BRACKET.finditer(body):
        mark = found[0]
        if mark in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise Problem("malformed_json", f"The body is nested more than {DEPTH_MAX} deep.")
        elif mark in b"]}":
            depth -= 1


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(_holds_nul(one) for one in value)


def field_error(message: str) -> FieldError:
    """msgspec's message as a pointer and a sentence. Values it quotes are dropped, and so are names that do not look
    like names: a caller may have sent a secret as either."""
    told, _, path = message.partition(" - at `")
    pointer = _pointer(path.rstrip("`"))
    if unknown := _UNKNOWN_FIELD.fullmatch(told):
        known_by = f"/{unknown[1]}" if _PLAIN_NAME.fullmatch(unknown[1]) else ""
        return FieldError(pointer=pointer + known_by, detail="This field is not known here.")
    if missing := _MISSING_FIELD.fullmatch(told):
        return FieldError(pointer=f"{pointer}/{missing[1]}", detail="This field is required.")
    if told.startswith("Invalid enum value"):
        return FieldError(pointer=pointer, detail="This is not one of the values allowed here.")
    detail = f"{told}." if _SAFE.fullmatch(told) else "This value is not allowed here."
    return FieldError(pointer=pointer, detail=detail.replace("`", ""))


def _pointer(path: str) -> str:
    """`$.binding.amount` or `$[0].to` as a JSON Pointer; steps that msgspec does not name are left out."""
    steps = (match[1] or match[2] for match in _PATH_STEP.finditer(path.removeprefix("$").removeprefix("key in ")))
    return "".join(f"/{step}" for step in steps if step != "...")
