"""Takes out of a log record what must not be seen: numbers, codes, keys, passwords. The last thing before output.

It errs to the safe side: four to fifteen digits in a row are hidden wherever they stand, unless the field's name
says that they count something, or they are part of an id, a time or a network address.
"""

import re
from collections.abc import Mapping
from typing import Any

from watchword.kernel.secret import Secret

MASK = "••••"
TEXT_MAX = 8_000
DEPTH_MAX = 6

# Fields whose digits count or name something of ours.
COUNTS = frozenset(
    {
        "age_s", "attempt", "bytes", "count", "exit_code", "line", "level", "offset", "offsets", "ordinal", "partition",
        "pid", "port", "repeated", "rows", "serial", "size", "status", "total", "ts", "version",
    }
)  # fmt: skip
IDS = frozenset({"api_key_id", "attempt_id", "digest", "event_id", "key_id", "span_id", "trace_id", "verification_id"})
_COUNT_SUFFIXES = ("_ms", "_s", "_bytes", "_count", "_total", "_max", "_size", "_port", "_pid", "_no")
HIDDEN = frozenset(
    {
        "api_key", "authorization", "body", "code", "cookie", "dsn", "e164", "message_text", "mobile", "otp",
        "password", "phone", "secret", "secrets", "text", "to",
    }
)  # fmt: skip

_SECRETS = (
    (re.compile(r"wwk_(live|test)_[\w-]*"), rf"wwk_\1_{MASK}"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+@"), rf"\1{MASK}@"),
    (re.compile(r"\b(\w*(?:password|secret|api_?key))(\"?\s*[=:]\s*)[^\s,;}]+", re.IGNORECASE), rf"\1\2{MASK}"),
)
_KEPT = (
    r"(?<![0-9A-Za-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9A-Za-z])"  # an id
    r"|(?<!\d)20\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)"
    r"|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\d.])"  # an address, and its port
    r"|(?<![\w.])localhost:\d{1,5}(?!\d)|\[::1?\]:\d{1,5}(?!\d)"
    r'|(?<=", line )\d{1,5}(?=, in )'  # a traceback's line
)
# Digits as people write numbers: with a plus, spaces, hyphens, dots or brackets between groups.
_DIGITS = r"\+?\(?\d{2,}\)?(?:[ .()-]{1,2}\d{2,})+|\+?\d{4,}|\d(?:[ .-]\d){3,}"
_NUMBERS = re.compile(rf"(?P<kept>{_KEPT})|(?:{_DIGITS})")
_SUSPECT = re.compile(r"\d\W?\d|wwk_|://|bearer|basic|password|secret|api_?key", re.IGNORECASE)


def redact_text(text: str) -> str:
    """`text` without secrets, numbers and codes. Texts over 8,000 characters are cut first."""
    if len(text) > TEXT_MAX:
        text = f"{text[:TEXT_MAX]}…"
    if not _SUSPECT.search(text):
        return text
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return _NUMBERS.sub(_kept_or_masked, text)


def _kept_or_masked(found: re.Match[str]) -> str:
    kept = found["kept"]
    return kept if kept is not None else MASK


def redact(record: Mapping[str, Any]) -> dict[str, Any]:
    """A log record with every value redacted by its field's name and its own look."""
    return {_name(key): _redacted(str(key), value, DEPTH_MAX) for key, value in record.items()}


def _name(key: object) -> str:
    """A field's name: most are words, which need no look."""
    text = str(key)
    return text if text.isalpha() and text.isascii() and "bearer" not in text else redact_text(text)


def _redacted(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if key.lower() in HIDDEN or isinstance(value, Secret):
        return str(value) if isinstance(value, Secret) else MASK
    if isinstance(value, int):
        return value if _counts(key) or abs(value) < 1_000 else MASK
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return _redacted_structure(key, value, depth)


def _redacted_structure(key: str, value: Any, depth: int) -> Any:
    if depth <= 0:
        return "…"
    if isinstance(value, Mapping):
        return {_name(name): _redacted(str(name), one, depth - 1) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(key, one, depth - 1) for one in value]
    text = value if isinstance(value, str) else str(value)
    return text if key in IDS and len(text) <= 100 and "wwk_" not in text else redact_text(text)


def _counts(key: str) -> bool:
    return key in COUNTS or key.endswith(_COUNT_SUFFIXES)
