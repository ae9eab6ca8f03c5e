"""Looking for what may not be on a topic: codes, and phone numbers in clear. Pure, over raw bytes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from watchword.events import topics

# The publisher's own topic and what is buried from it hold clear numbers; guarantees.md excepts them.
EXCEPTED = frozenset({topics.INBOX, topics.dead(topics.INBOX)})
CANARIES_MAX = 10_000
DIGITS_MIN = 7

_NUMBER = re.compile(rb"\+[1-9][0-9]{6,14}(?![0-9])")
_CODE = re.compile(rb'"(?:code|otp|pin)"\s*:\s*"?[0-9]{4,10}(?![0-9A-Za-z_-])')
# Fraud counts by leading digits, of which a range, all but the last four, is the longest that is told in clear (what is
# finer has a keyed token behind a dot). What is sealed is base64, in which any letters may meet.
_ALLOWED = re.compile(
    rb'(?:"range"\s*:\s*"|(?:operator|series|range|block|row):)\+[0-9]{1,11}(?![0-9])|"sealed"\s*:\s*"[^"]*"'
)
_DIGITS = re.compile(r"[0-9]+")


class CanaryError(ValueError):
    """A line of the canary file cannot be used; the message says which, and never repeats it."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """What must not be seen: digits of numbers, and codes, each of its own verification."""

    numbers: tuple[bytes, ...] = field(default=(), repr=False)
    codes: Mapping[str, tuple[re.Pattern[bytes], ...]] = field(default_factory=dict, repr=False)


def canaries(lines: Iterable[str]) -> Canaries:
    """The canaries of a file: a number a line as people write numbers, or a verification's id and its code.

    Raises CanaryError.
    """
    numbers: list[bytes] = []
    codes: dict[str, tuple[re.Pattern[bytes], ...]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(numbers) + len(codes) >= CANARIES_MAX:
            raise CanaryError(f"more than {CANARIES_MAX} canaries")
        if len(words) == 2 and _is_id(words[0]) and words[1].isdecimal():
            known = str(UUID(words[0]))
            codes[known] = (
                *codes.get(known, ()),
                re.compile(rb"(?<![0-9A-Za-z_.-])%s(?![0-9A-Za-z_-])" % words[1].encode()),
            )
            continue
        digits = "".join(_DIGITS.findall(line))
        if len(digits) < DIGITS_MIN or re.search(r"[^0-9 ()+.\-]", line.strip()):
            raise CanaryError(f"line {number} is neither a number nor a verification's id and its code")
        numbers.append(digits.encode())
    return Canaries(tuple(numbers), codes)


def sightings(
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    subject: str,
    known: Canaries,
) -> Iterator[str]:
    """What is seen in one record that may not be there, in words that do not repeat it."""
    if topic in EXCEPTED:
        return
    for where, raw in (("key", key), ("value", value), *((f"header {name}", told) for name, told in headers)):
        if not raw:
            continue
        text = _ALLOWED.sub(b"", raw)
        if _NUMBER.search(text):
            yield f"{where} holds what looks like a phone number"
        if _CODE.search(text):
            yield f"{where} holds what looks like a code"
        if any(number in text for number in known.numbers):
            yield f"{where} holds a canary number"
        if any(code.search(text) for code in known.codes.get(subject, ())):
            yield f"{where} holds the code of its verification"


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
