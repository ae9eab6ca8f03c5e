"""How a text travels as SMS: in which alphabet, in how many parts (3GPP TS 23.038 and 23.040).

Lengths count units: septets in GSM 7-bit, where a character of the extension table takes two, and UTF-16 code units
in UCS-2, where a character beyond the first plane takes two. The national tables are not used: few gateways know them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_GSM7 = _BASIC | _EXTENDED


@dataclass(frozen=True, slots=True)
class Alphabet:
    """One alphabet: what fits into a message alone, and into each part of a longer one beside its header."""

    name: str
    single: int
    part: int


GSM7 = Alphabet("gsm7", single=160, part=153)
UCS2 = Alphabet("ucs2", single=70, part=67)


@dataclass(frozen=True, slots=True)
class Size:
    """The alphabet ("gsm7" or "ucs2"), the units the text takes in it, and the parts it is sent in."""

    encoding: str
    units: int
    segments: int


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM 7-bit alphabet. One that is not turns the whole text into UCS-2."""
    return _GSM7.issuperset(text)


def alphabet(text: str) -> Alphabet:
    """The alphabet the text is sent in."""
    return GSM7 if is_gsm7(text) else UCS2


def size(text: str) -> Size:
    """What sending `text` takes."""
    if len(text) <= GSM7.single and _BASIC.issuperset(text):  # a code's message, nearly always
        return Size(GSM7.name, len(text), 1)
    used = alphabet(text)
    widths = _widths(text, used)
    units = sum(widths)
    return Size(used.name, units, 1 if units <= used.single else len(_cuts(widths, used.part)) + 1)


def split(text: str) -> list[str]:
    """The parts `text` is sent in; joined they are the text. No character is cut in two, neither an escape from its
    letter nor one half of a surrogate pair from the other."""
    used = alphabet(text)
    widths = _widths(text, used)
    if sum(widths) <= used.single:
        return [text]
    edges = [0, *_cuts(widths, used.part), len(text)]
    return [text[begin:end] for begin, end in pairwise(edges)]


def _widths(text: str, used: Alphabet) -> list[int]:
    if used is GSM7:
        return [2 if letter in _EXTENDED else 1 for letter in text]
    return [2 if ord(letter) > 0xFFFF else 1 for letter in text]


def _cuts(widths: Iterable[int], part: int) -> list[int]:
    """Where a new part begins."""
    cuts, filled = [], 0
    for place, width in enumerate(widths):
        if filled + width > part:
            cuts.append(place)
            filled = 0
        filled += width
    return cuts
