"""Country and type of a number by its leading digits, quickly: numbers that begin alike are looked up once.

For recorded streams, where numbers come by the million and `kernel/phone.py` would take most of the time. A number is
read, not judged: what no numbering plan knows is country "" and type "".
"""

from typing import NamedTuple

import phonenumbers

from watchword.kernel.feature import calling_code
from watchword.kernel.phone import NON_GEOGRAPHIC, REFUSED_TYPES, SATELLITE, TYPE_WORDS

_DIGITS_MIN, _DIGITS_MAX = 7, 15
_PLAN_DIGITS = 4
_KNOWN_MAX = 65_536
_RARE_TYPES = REFUSED_TYPES | {"personal_number"}


class Placed(NamedTuple):
    """Where a number belongs: `country` is ISO alpha-2, "001" for none, "" for unknown."""

    country: str
    number_type: str


class Numbering:
    """Remembers what the first number of each beginning and length was."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Placed] = {}

    def placed(self, e164: str) -> Placed | None:
        """Country and type of "+" and digits; None for what is not written so."""
        digits = e164[1:]
        is_written = e164.startswith("+") and digits.isascii() and digits.isdigit()
        if not is_written or not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
            return None
        code = calling_code(e164)
        beginning = (e164[: len(code) + 1 + _PLAN_DIGITS], len(digits))
        known = self._known.get(beginning)
        if known is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            known = self._known[beginning] = _read(e164, code)
        # What would be refused by its type is refused by its own digits, not by its neighbour's.
        return _read(e164, code) if known.number_type in _RARE_TYPES else known


def _read(e164: str, code: str) -> Placed:
    if not code:
        return Placed("", "")
    number = phonenumbers.PhoneNumber(country_code=int(code), national_number=int(e164[len(code) + 1 :]))
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(int(code))
    word = "satellite" if e164.startswith(SATELLITE) else TYPE_WORDS.get(phonenumbers.number_type(number), "")
    return Placed(NON_GEOGRAPHIC if country == NON_GEOGRAPHIC else country, word)
