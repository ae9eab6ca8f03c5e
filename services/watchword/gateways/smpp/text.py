"""How a text becomes the octets of short messages: alphabet, parts, and the header that joins the parts.

3GPP TS 23.038 (alphabets) and 23.040, section 9.2.3.24.1 (concatenation). An SMSC takes GSM letters unpacked, one
to an octet; how it reads its default data coding is a setting of the account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from watchword.kernel.gsm7 import size

UDHI: Final = 0x40
CODING_DEFAULT: Final = 0
CODING_UCS2: Final = 8
PARTS_MAX: Final = 10
SHORT_MESSAGE_OCTETS_MAX: Final = 254
_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
_GSM7: Mapping[str, bytes] = {
    **{letter: bytes((code,)) for code, letter in enumerate(_BASIC) if code != _ESCAPE},
    **{letter: bytes((_ESCAPE, code)) for letter, code in _EXTENDED.items()},
}
_FROM_EXTENDED = {code: letter for letter, code in _EXTENDED.items()}
_SEPTETS, _SEPTETS_OF_PART = 160, 153
_OCTETS, _OCTETS_OF_PART = 140, 134


class Alphabet(StrEnum):
    """How an SMSC reads data coding 0."""

    GSM7 = "gsm7"
    LATIN1 = "latin1"
    ASCII = "ascii"


class Long(StrEnum):
    """How a text of several parts travels: joined by a header in each part, by optional parameters, or whole."""

    UDH = "udh"
    SAR = "sar"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Part:
    """One short message: its octets with any header, of how many it is which (from 1). Not printable."""

    octets: bytes = field(repr=False)
    number: int = 1
    total: int = 1
    esm_class: int = 0
    data_coding: int = CODING_DEFAULT


def parts(text: str, alphabet: Alphabet, *, long: Long, reference: int) -> tuple[Part, ...]:
    """`text` as an SMSC takes it. `reference` (0-255) tells the parts of one text from those of another.

    A letter that takes two places is never cut in two. Raises ValueError for a text of more than `PARTS_MAX` parts.
    """
    letters, coding = _letters(text, alphabet)
    single, part = (_OCTETS, _OCTETS_OF_PART) if coding == CODING_UCS2 else (_SEPTETS, _SEPTETS_OF_PART)
    widths = [len(letter) for letter in letters] if coding == CODING_UCS2 else [len(_GSM7[one]) for one in text]
    if sum(widths) <= single:
        return (Part(b"".join(letters), data_coding=coding),)
    cut = _cut(letters, widths, part)
    if len(cut) > PARTS_MAX:
        raise ValueError(f"text: must not take more than {PARTS_MAX} parts")
    if long is Long.PAYLOAD:
        return (Part(b"".join(letters), data_coding=coding),)
    header = b"\x05\x00\x03" + bytes((reference, len(cut))) if long is Long.UDH else b""
    return tuple(
        Part(
            (header + bytes((number,)) if header else b"") + octets,
            number,
            len(cut),
            UDHI if header else 0,
            coding,
        )
        for number, octets in enumerate(cut, 1)
    )


def _letters(text: str, alphabet: Alphabet) -> tuple[list[bytes], int]:
    """The octets of each letter, and the data coding. What the alphabet lacks turns the whole text into UCS-2."""
    if size(text).encoding == "gsm7":
        try:
            if alphabet is Alphabet.GSM7:
                return [_GSM7[letter] for letter in text], CODING_DEFAULT
            return [letter.encode(alphabet.value) for letter in text], CODING_DEFAULT
        except UnicodeEncodeError:
            pass
    return [letter.encode("utf-16-be", "replace") for letter in text], CODING_UCS2


def _cut(letters: list[bytes], widths: list[int], part: int) -> list[bytes]:
    found: list[list[bytes]] = [[]]
    filled = 0
    for letter, width in zip(letters, widths, strict=True):
        if filled + width > part:
            found.append([])
            filled = 0
        found[-1].append(letter)
        filled += width
    return [b"".join(each) for each in found]


def read(octets: bytes, data_coding: int, alphabet: Alphabet = Alphabet.GSM7) -> str:
    """The text of a short message without its header: for receipts and simulators. Total."""
    if data_coding == CODING_UCS2:
        return octets.decode("utf-16-be", "replace")
    if data_coding == CODING_DEFAULT and alphabet is Alphabet.GSM7:
        return _of_gsm7(octets)
    return octets.decode("latin1")


def _of_gsm7(octets: bytes) -> str:
    letters: list[str] = []
    escaped = False
    for code in octets:
        if code == _ESCAPE and not escaped:
            escaped = True
            continue
        plain = _BASIC[code] if code < len(_BASIC) else "?"
        letters.append(_FROM_EXTENDED.get(code, plain) if escaped else plain)
        escaped = False
    return "".join(letters)
