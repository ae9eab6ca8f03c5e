"""A message as the submit_sm units that carry it."""

import re
from typing import Final
from zlib import crc32

from watchword.gateways.contract import Message
from watchword.gateways.sessions import Submission
from watchword.gateways.smpp import text
from watchword.gateways.smpp.pdu import Command, Field, Pdu, Tag, Tlvs, encode
from watchword.gateways.smpp.terms import Numbering, Terms, Validity
from watchword.gateways.smpp.text import Long, Part

ALPHANUMERIC: Final = Numbering(5, 0)
INTERNATIONAL: Final = Numbering(1, 1)
SHORT_CODE: Final = Numbering(3, 0)
_ALPHANUMERIC_CHARS_MAX = 11
_SHORT_CODE_DIGITS_MAX = 8
_ADDRESS_CHARS_MAX = 20
_TO = re.compile(r"\+([0-9]{1,15})")
_LIFE_S_MAX = 99 * 86_400 - 1


def submission(message: Message, sender: str, terms: Terms) -> Submission:
    """One unit for each part, all under sequence 0, which the session replaces. Raises ValueError where the sender,
    the number or the text cannot be carried, naming it.

    Only the last part asks for a receipt: an attempt has one provider id, and its parts go out in order.
    """
    reference = crc32(message.client_ref.encode()) & 0xFF
    parts = text.parts(message.text, terms.alphabet, long=terms.long, reference=reference)
    if len(parts) > terms.window:
        raise ValueError("options.window: smaller than the parts of a message")
    shared = _fields(message, sender, terms)
    own = tuple((each.tag, value) for each in terms.parameters if (value := each.of(message)))
    return Submission(tuple(encode(_unit(part, shared, own, terms, reference)) for part in parts))


def _unit(part: Part, shared: dict[str, Field], own: Tlvs, terms: Terms, reference: int) -> Pdu:
    fields = shared | {"esm_class": part.esm_class, "data_coding": part.data_coding}
    if part.number < part.total:
        fields["registered_delivery"] = 0
    tlvs = own
    if part.total > 1 and terms.long is Long.SAR:
        tlvs = (
            (Tag.SAR_REFERENCE, bytes((0, reference))),
            (Tag.SAR_TOTAL, bytes((part.total,))),
            (Tag.SAR_NUMBER, bytes((part.number,))),
            *own,
        )
    if len(part.octets) > text.SHORT_MESSAGE_OCTETS_MAX:
        return Pdu(Command.SUBMIT_SM, fields=fields, tlvs=((Tag.MESSAGE_PAYLOAD, part.octets), *tlvs))
    return Pdu(Command.SUBMIT_SM, fields=fields | {"short_message": part.octets}, tlvs=tlvs)


def _fields(message: Message, sender: str, terms: Terms) -> dict[str, Field]:
    to = _TO.fullmatch(message.to)
    if to is None:
        raise ValueError("to: must be a number with + and 1-15 digits")
    source = terms.source or numbering_of(sender)
    return {
        "service_type": terms.service_type,
        "source_ton": source.ton,
        "source_npi": source.npi,
        "source": _address(sender),
        "dest_ton": terms.dest.ton,
        "dest_npi": terms.dest.npi,
        "dest": to[1].encode("ascii"),
        "validity": _validity(message.life_s, terms),
        "registered_delivery": terms.registered_delivery,
    }


def numbering_of(sender: str) -> Numbering:
    """What kind of sender it is by its looks: a name, a short code, a number; nothing at all is left to the SMSC."""
    digits = sender.removeprefix("+")
    if not digits:
        return Numbering(0, 0)
    if not (digits.isascii() and digits.isdigit()):
        return ALPHANUMERIC
    return SHORT_CODE if len(digits) <= _SHORT_CODE_DIGITS_MAX and sender == digits else INTERNATIONAL


def _address(sender: str) -> bytes:
    digits = sender.removeprefix("+")
    is_name = not (digits.isascii() and digits.isdigit())
    chars_max = _ALPHANUMERIC_CHARS_MAX if is_name else _ADDRESS_CHARS_MAX
    if len(digits) > chars_max or not sender.isascii() or (sender and not sender.isprintable()):
        raise ValueError(f"sender: must be at most {chars_max} printable ASCII characters")
    return (sender if is_name else digits).encode("ascii")


def _validity(life_s: int, terms: Terms) -> bytes:
    """Relative time, YYMMDDhhmmss000R (SMPP 3.4, section 7.1.1.2); b"" for the SMSC's own."""
    if terms.validity is Validity.NONE:
        return b""
    left_s = min(max(life_s, terms.validity_floor_s, 1), _LIFE_S_MAX)
    minutes, seconds = divmod(left_s, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02d}{hours:02d}{minutes:02d}{seconds:02d}000R".encode("ascii")
