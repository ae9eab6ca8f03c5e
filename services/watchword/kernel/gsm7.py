"""How a text travels as SMS: in which alphabet, in how many parts (3GPP TS 23.038 and 23.040)."""

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_ALL = _BASIC | _EXTENDED

_GSM7_SINGLE, _GSM7_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67


@dataclass(frozen=True, slots=True)
class Size:
    """The alphabet ("gsm7" or "ucs2"), the units the text takes in it, and the parts it is sent in."""

    encoding: str
    units: int
    segments: int


def size(text: str) -> Size:
    """What sending `text` takes. Characters outside GSM 7-bit turn the whole text into UCS-2."""
    letters = set(text)
    if letters <= _BASIC and len(text) <= _GSM7_SINGLE:  # a code's message, nearly always
        return Size("gsm7", len(text), 1)
    if letters <= _ALL:
        widths = [2 if letter in _EXTENDED else 1 for letter in text]
        return Size("gsm7", sum(widths), _parts(widths, _GSM7_SINGLE, _GSM7_PART))
    widths = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    return Size("ucs2", sum(widths), _parts(widths, _UCS2_SINGLE, _UCS2_PART))


def _parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, filled = 1, 0
    for width in widths:
        if filled + width > part:  # an escaped character or a surrogate pair is never cut in two
            parts, filled = parts + 1, 0
        filled += width
    return parts
