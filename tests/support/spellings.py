"""Looks for ten digits as somebody would who wants them: as they stand, and in every spelling in which they may hide.

What is searched for are canaries: codes and national numbers, ten digits each. Rather than to spell thousands of them
in every way, whatever is searched is read in every way, and what reads as ten digits is looked up.
"""

import base64
import re
from collections.abc import Callable, Iterator, Set
from typing import Final

DIGITS: Final = 10
BITS: Final = 7  # of a letter in the GSM alphabet
_RUN = re.compile(rb"[0-9]{%d,}" % DIGITS)
_WIDE = re.compile(rb"(?:[0-9]\x00){%d,}|(?:\x00[0-9]){%d,}" % (DIGITS, DIGITS))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{14,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{10,}")
_QUOTED = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPED = re.compile(rb"\\+(?:u00|x)([0-9A-Fa-f]{2})|&#x0*([0-9A-Fa-f]{2});")
_DECIMAL = re.compile(rb"&#0*([0-9]{2});")
_SPREAD = re.compile(rb"[0-9](?:\xc2\xa0[0-9]){9,}|[0-9](?:([ ._,:/-])[0-9])(?:\1[0-9]){8,}")
_GROUPED = re.compile(rb"\(?[0-9]{2,6}\)?(?:[ ./-]{1,2}\(?[0-9]{2,6}\)?){1,5}")
# Two decimal digits a byte, as telephone networks write addresses; an odd number of them ends with a half of ones.
_DECIMAL_BYTES = bytes(16 * high + low for high in range(10) for low in range(10))
_HALVES = re.compile(rb"[%s]{5,}[\xf0-\xf9]?" % re.escape(_DECIMAL_BYTES))
_SWAPPED = bytes((byte & 0x0F) << 4 | byte >> 4 for byte in range(256))
_NOTHING = b"\xff"  # between pieces that were not together


def found(canaries: Set[bytes], text: bytes) -> bool:
    """Whether any canary is in the text, in any spelling, or in base64 or hexadecimal of any spelling."""
    return any(_holds(canaries, each) for given in (text, _decoded(text)) for each in readings(given))


def found_plainly(canaries: Set[bytes], text: bytes) -> bool:
    """Whether any canary is in the text as it stands: for what is too much to be read in every way."""
    wide = _NOTHING.join(_WIDE.findall(text)).replace(b"\0", b"")
    return _holds(canaries, text) or _holds(canaries, wide)


def _holds(canaries: Set[bytes], text: bytes) -> bool:
    return any(run[at : at + DIGITS] in canaries for run in _RUN.findall(text) for at in range(len(run) - DIGITS + 1))


def readings(text: bytes) -> Iterator[bytes]:
    """The text as it stands, and as it reads where it is escaped, in UTF-16, spread, in half bytes, or packed."""
    yield text
    if b"%" in text:
        yield _QUOTED.sub(_byte, text)
    if b"\\" in text or b"&#" in text:
        yield _DECIMAL.sub(_decimal, _ESCAPED.sub(_byte, text))
    if b"\0" in text:
        yield text.replace(b"\0", b"")
    for spread in (_SPREAD, _GROUPED):
        yield _NOTHING.join(re.sub(rb"[^0-9]", b"", each[0]) for each in spread.finditer(text))
    halves = _NOTHING.join(_HALVES.findall(text))
    yield halves.hex().encode()
    yield halves.translate(_SWAPPED).hex().encode()
    for shift, pattern in enumerate(_PACKED):
        yield _NOTHING.join(_unpacked(each[1], shift) for each in pattern.finditer(text))


def _byte(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(next(group for group in escaped.groups() if group).decode())


def _decimal(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1])])


def _decoded(text: bytes) -> bytes:
    """All that may be base64 or hexadecimal, decoded from each place at which it may begin."""
    pieces = [_unbased(run[begin:]) for run in _BASE64.findall(text.translate(_URLSAFE)) for begin in range(4)]
    pieces += [
        bytes.fromhex(run[begin : begin + (len(run) - begin) // 2 * 2].decode())
        for run in _HEX.findall(text)
        for begin in range(2)
    ]
    return _NOTHING.join(pieces)


def _unbased(run: bytes) -> bytes:
    """Base64 without its padding; a letter that is one too many is left out."""
    whole = run[: len(run) - (len(run) % 4 == 1)]
    return base64.urlsafe_b64decode(whole + b"=" * (-len(whole) % 4))


_URLSAFE = bytes.maketrans(b"+/", b"-_")


def _pattern(shift: int) -> re.Pattern[bytes]:
    """Ten digits of the GSM alphabet, seven bits each, that begin `shift` bits into a byte (3GPP TS 23.038): of every
    seven bits the last three are 1, 1, 0."""
    fixed = {shift + BITS * digit + bit: bit != 6 for digit in range(DIGITS) for bit in (4, 5, 6)}
    count = (shift + BITS * DIGITS + 7) // 8
    allowed = [
        bytes(
            byte
            for byte in range(256)
            if all(fixed.get(8 * place + bit, byte >> bit & 1) == byte >> bit & 1 for bit in range(8))
        )
        for place in range(count)
    ]
    classes = b"".join(b"[%s]" % re.escape(each) for each in allowed)
    return re.compile(b"(?=(%s))" % classes, re.DOTALL)


_PACKED: Final = tuple(_pattern(shift) for shift in range(8))


def _unpacked(packed: bytes, shift: int) -> bytes:
    bits = int.from_bytes(packed, "little") >> shift
    return bytes(bits >> BITS * place & 0x7F for place in range(DIGITS))


def packed(text: bytes) -> bytes:
    """A text of the GSM alphabet as a carrier packs it: eight letters in seven bytes."""
    bits = sum(letter << BITS * place for place, letter in enumerate(text))
    return bits.to_bytes((BITS * len(text) + 7) // 8, "little")


def in_halves(digits: bytes) -> bytes:
    """Digits as an address on a telephone network: two a byte, the second one first."""
    return bytes.fromhex((digits + b"f" * (len(digits) % 2)).decode()).translate(_SWAPPED)


SPELLINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "as it stands": lambda canary: canary,
    "in a number": lambda canary: b"+91" + canary,
    "base64": lambda canary: base64.b64encode(b"<" + canary),
    "base64, one further": lambda canary: base64.b64encode(b"?>" + canary),
    "base64, two further": lambda canary: base64.b64encode(b"?>>" + canary),
    "base64 for addresses": lambda canary: base64.urlsafe_b64encode(b"\xfb\xff\xfe" + canary + b"\xfb\xff\xfe"),
    "base64 in the middle of a word": lambda canary: b"x" + base64.b64encode(b"x" + canary),
    "hexadecimal": lambda canary: canary.hex().encode(),
    "hexadecimal in capitals": lambda canary: b"a" + b"_".join([b"A", (b"\xab" + canary).hex().upper().encode()]),
    "quoted for an address": lambda canary: b"".join(b"%%%02X" % byte for byte in canary),
    "half of it quoted": lambda canary: canary[:5] + b"".join(b"%%%02x" % byte for byte in canary[5:]),
    "UTF-16": lambda canary: canary.decode().encode("utf-16-le"),
    "UTF-16, the other way": lambda canary: canary.decode().encode("utf-16-be"),
    "UTF-16 in hexadecimal": lambda canary: canary.decode().encode("utf-16-be").hex().encode(),
    "escaped in JSON": lambda canary: b"".join(b"\\u%04x" % byte for byte in canary),
    "escaped twice": lambda canary: b"".join(b"\\\\u%04X" % byte for byte in canary),
    "escaped in HTML": lambda canary: b"".join(b"&#%d;" % byte for byte in canary),
    "with spaces": lambda canary: b" ".join(canary[place : place + 1] for place in range(DIGITS)),
    "with hyphens": lambda canary: b"-".join(canary[place : place + 1] for place in range(DIGITS)),
    "in two groups": lambda canary: b"+91 " + canary[:5] + b" " + canary[5:],
    "in three groups": lambda canary: b"(" + canary[:3] + b") " + canary[3:6] + b"-" + canary[6:],
    "in half bytes": lambda canary: in_halves(b"91" + canary),
    "in half bytes, odd": lambda canary: in_halves(b"1" + canary),
    "in half bytes in hexadecimal": lambda canary: in_halves(canary).hex().encode(),
    "packed": packed,
    "packed behind other letters": lambda canary: packed(b"Your code: " + canary + b". Tell nobody."),
    "packed in hexadecimal": lambda canary: packed(b"Code " + canary).hex().encode(),
    "packed in base64": lambda canary: base64.b64encode(packed(b"A " + canary)),
}
"""Every way in which a canary is known to be found, to show that it is."""
