"""Reading what providers send: every function takes anything and answers something, none raises.

Whatever is kept from a provider's answer ends in events and reports, so it is bounded, printable and rid of digit
runs that could be a phone number, or a code, that a provider quotes inside an error.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

WORD_CHARS_MAX = 64
REFERENCE_CHARS_MAX = 128
RETRY_AFTER_MS_MAX = 3_600_000
MICROS_MAX = 1_000_000_000_000
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")
_CODE = re.compile(r"[A-Za-z_-]*[0-9]{1,6}")
_QUOTED = re.compile(r"[0-9]{4,}|[0-9](?:[^0-9A-Za-z]{0,2}[0-9]){5,}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_CURRENCY = re.compile(r"[A-Z]{3}")


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of header `name` whatever its case, "" where absent."""
    found = headers.get(name)
    if found is not None:
        return found
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def retry_after_ms(headers: Mapping[str, str]) -> int:
    """What Retry-After asks for (RFC 9110, section 10.2.3), 0 where absent or unreadable, an hour at most.

    A date is measured from the answer's own Date header: pure code has no clock, and the provider's may be wrong.
    """
    asked = header(headers, "Retry-After").strip()
    if _SECONDS.fullmatch(asked):
        return min(int(asked) * 1_000, RETRY_AFTER_MS_MAX)
    until, told = _http_date(asked), _http_date(header(headers, "Date"))
    if until is None or told is None:
        return 0
    return min(max(int((until - told).total_seconds() * 1_000), 0), RETRY_AFTER_MS_MAX)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def json_of(body: bytes, bytes_max: int) -> Any:
    """The JSON value in `body`; None where it is not JSON, not UTF-8, nested too deeply or over `bytes_max`."""
    if not body or len(body) > bytes_max:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def object_of(body: bytes, bytes_max: int) -> dict[str, Any]:
    """The JSON object in `body`, {} where there is none."""
    value = json_of(body, bytes_max)
    return value if isinstance(value, dict) else {}


def text_of(body: bytes, bytes_max: int) -> str:
    """The text of `body`, "" where it is not UTF-8 or over `bytes_max`."""
    if len(body) > bytes_max:
        return ""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def scalar(value: Any) -> str:
    """A JSON string or whole number as text, "" for everything else (true and false are not numbers here)."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def word(value: Any) -> str:
    """A provider's status or error code as it may be kept: printable, at most 64 characters. Of anything but a code by
    itself (30003, ERR1234) digits are blotted out that could be a number or a code of ours: four and more in a row, or
    six and more with only punctuation between them."""
    told = scalar(value)[: WORD_CHARS_MAX * 4].strip()
    if not told:
        return ""
    kept = _UNPRINTABLE.sub("_", told).strip("_")
    return (kept if _CODE.fullmatch(told) else _QUOTED.sub("#", kept))[:WORD_CHARS_MAX]


def reference(value: Any) -> str:
    """A message reference, exact or not at all: "" where it is longer than 128 characters or not printable."""
    text = scalar(value)
    return "" if len(text) > REFERENCE_CHARS_MAX or _UNPRINTABLE.search(text) else text


def micros(value: Any) -> int:
    """A price in millionths as a provider told it, 0 where it told none that makes sense."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value <= MICROS_MAX else 0


def currency(value: Any) -> str:
    """An ISO 4217 letter code, "" where it is not one by shape."""
    return value if isinstance(value, str) and _CURRENCY.fullmatch(value) else ""


def moment(value: Any) -> datetime | None:
    """An ISO 8601 moment with its offset, None for anything else: a local time of unknown place tells nothing."""
    if not isinstance(value, str) or len(value) > WORD_CHARS_MAX:
        return None
    try:
        read = datetime.fromisoformat(value)
        known = read.utcoffset() is not None
    except (ValueError, OverflowError):
        return None
    return read if known else None


def at(value: Any, pointer: str) -> Any:
    """What RFC 6901 `pointer` names inside `value`, None where there is nothing; "" names the whole."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 7:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def between(text: str, before: str, after: str) -> str:
    """What stands between the first `before` and the next `after`, to the end of the line where `after` is "" or
    missing; "" where `before` is missing. Plain text marks: unlike an expression they cannot be made to hang."""
    start = text.find(before)
    if not before or start < 0:
        return ""
    rest = text[start + len(before) :].split("\n", 1)[0]
    return (rest.split(after, 1)[0] if after else rest).strip()


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list that holds objects only, [] for anything else."""
    told = value if isinstance(value, list) else []
    return told if all(isinstance(row, dict) for row in told) else []


def all_rows(value: Any, rows_max: int) -> list[dict[str, Any]]:
    """The objects of a list of reports. Raises ValueError where it is none, holds something else or is too long: the
    whole callback is kept for a person to see, rather than a part of it silently lost."""
    if not isinstance(value, list) or len(value) > rows_max or len(rows_of(value)) != len(value):
        raise ValueError(f"reports: must be a list of at most {rows_max} objects")
    return value


def quoted(text: str, word: str) -> str:
    """What stands in double quotes behind `word` at the beginning of `text`, "" where it is not like that."""
    text = text.strip()
    start = f'{word} "'
    inside = text[len(start) : -1] if text.startswith(start) and text.endswith('"') else ""
    return "" if '"' in inside else inside
