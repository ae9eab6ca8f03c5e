"""SMPP 3.4 as bytes: protocol data units, and how they are cut out of a stream.

Reading is total. What a carrier sends too short, too long or unknown is read as far as it goes, and `whole` says
whether that was all of it; only a stream whose lengths cannot be true ends the connection (SMPP 3.4, section 3.2).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

HEADER_BYTES: Final = 16
FRAME_BYTES_MAX: Final = 65_536
SEQUENCE_MAX: Final = 0x7FFFFFFF
RESPONSE: Final = 0x80000000
OK: Final = 0
_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")
_OCTETS: Final = tuple(bytes((value,)) for value in range(0x100))


class Command(IntEnum):
    """The command ids that are spoken here; any other number is read as well."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    QUERY_SM = 0x03
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    OUTBIND = 0x0B
    ENQUIRE_LINK = 0x15
    ALERT_NOTIFICATION = 0x102
    DATA_SM = 0x103
    GENERIC_NACK = 0x80000000


class Tag(IntEnum):
    """The optional parameters that mean something here."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_REFERENCE = 0x020C
    SAR_TOTAL = 0x020E
    SAR_NUMBER = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


Field = int | bytes
Tlvs = tuple[tuple[int, bytes], ...]

# A field is one octet (True) or a string that ends in NUL (False); the short message follows where `sm` says so.
_ADDRESSES = {
    "source_ton": True, "source_npi": True, "source": False, "dest_ton": True, "dest_npi": True, "dest": False,
}  # fmt: skip
_BIND = {
    "system_id": False, "password": False, "system_type": False, "interface_version": True, "ton": True, "npi": True,
    "address_range": False,
}  # fmt: skip
_SM = {
    "service_type": False, **_ADDRESSES, "esm_class": True, "protocol_id": True, "priority_flag": True,
    "schedule": False, "validity": False, "registered_delivery": True, "replace_if_present": True,
    "data_coding": True, "default_msg_id": True,
}  # fmt: skip
_DATA = {
    "service_type": False, **_ADDRESSES, "esm_class": True, "registered_delivery": True, "data_coding": True,
}  # fmt: skip
_ID = {"message_id": False}
_LAYOUTS: Mapping[int, tuple[tuple[str, bool], ...]] = {
    command: tuple(layout.items())
    for commands, layout in (
        ((Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER), _BIND),
        ((0x80000001, 0x80000002, 0x80000009), {"system_id": False}),
        ((Command.SUBMIT_SM, Command.DELIVER_SM), _SM),
        ((Command.SUBMIT_SM | RESPONSE, Command.DELIVER_SM | RESPONSE, Command.DATA_SM | RESPONSE), _ID),
        ((Command.DATA_SM,), _DATA),
        ((Command.QUERY_SM,), {**_ID, "source_ton": True, "source_npi": True, "source": False}),
        ((Command.OUTBIND,), {"system_id": False, "password": False}),
    )
    for command in commands
}
_WITH_MESSAGE = frozenset({int(Command.SUBMIT_SM), int(Command.DELIVER_SM)})


@dataclass(frozen=True, slots=True)
class Pdu:
    """One protocol data unit. `fields` by the names of its layout; `tlvs` in the order they came, unknown ones too.

    Neither prints: they hold passwords, numbers and codes. `whole` is False where the body was cut short or did not
    add up.
    """

    command: int
    status: int = OK
    sequence: int = 0
    fields: Mapping[str, Field] = field(default_factory=dict, repr=False)
    tlvs: Tlvs = field(default=(), repr=False)
    whole: bool = True

    def text(self, name: str) -> bytes:
        """The string field `name`, b"" where it is absent."""
        found = self.fields.get(name, b"")
        return found if isinstance(found, bytes) else b""

    def number(self, name: str) -> int:
        """The octet field `name`, 0 where it is absent."""
        found = self.fields.get(name, 0)
        return found if isinstance(found, int) else 0

    def tlv(self, tag: int) -> bytes | None:
        """The first optional parameter of that tag, None where there is none."""
        return next((value for found, value in self.tlvs if found == tag), None)

    @property
    def message(self) -> bytes:
        """The text, wherever it stands: message_payload where the short message is empty."""
        return self.text("short_message") or self.tlv(Tag.MESSAGE_PAYLOAD) or b""


def encode(pdu: Pdu) -> bytes:
    """The bytes of `pdu`; fields that it lacks are 0 or empty. A response with an error has no body.

    Raises ValueError for a string that holds NUL, an octet out of range, or a text or parameter that is too long.
    """
    body = b"" if pdu.command & RESPONSE and pdu.status else _body(pdu)
    return _HEADER.pack(HEADER_BYTES + len(body), pdu.command, pdu.status, pdu.sequence) + body


def _body(pdu: Pdu) -> bytes:
    body = bytearray()
    fields = pdu.fields
    for name, is_octet in _LAYOUTS.get(pdu.command, ()):
        value = fields.get(name)
        if not value:
            body += b"\0"
        elif is_octet:
            body += _octet(name, value)
        else:
            body += _string(name, value)
    if pdu.command in _WITH_MESSAGE:
        message = pdu.text("short_message")
        body += _octet("short_message", len(message)) + message
    for tag, value in pdu.tlvs:
        if len(value) > 0xFFFF:
            raise ValueError(f"parameter {tag:#06x}: too long")
        body += _TLV.pack(tag, len(value)) + value
    return bytes(body)


def _octet(name: str, value: Field) -> bytes:
    if not isinstance(value, int) or not 0 <= value <= 0xFF:
        raise ValueError(f"{name}: must fit into one octet")
    return _OCTETS[value]


def _string(name: str, value: Field) -> bytes:
    if isinstance(value, int) or b"\0" in value:
        raise ValueError(f"{name}: must be a string without NUL")
    return value + b"\0"


def decode(frame: bytes) -> Pdu:
    """The unit in a frame of `Frames`, of 16 bytes at least. Total."""
    _, command, status, sequence = _HEADER.unpack_from(frame)
    layout = _LAYOUTS.get(command, ())
    fields: dict[str, Field] = {}
    at, end = HEADER_BYTES, len(frame)
    whole = at < end or bool(status) or not layout
    for name, is_octet in layout:
        if at >= end:
            whole = whole and at == HEADER_BYTES
            break
        if is_octet:
            fields[name] = frame[at]
            at += 1
            continue
        stop = frame.find(b"\0", at)
        whole = whole and stop >= 0
        stop = stop if stop >= 0 else end
        fields[name] = frame[at:stop]
        at = stop + 1
    if command in _WITH_MESSAGE:
        length = frame[at] if at < end else 0
        fields["short_message"] = frame[at + 1 : at + 1 + length]
        whole = whole and at < end and at + 1 + length <= end
        at += 1 + length
    tlvs, rest_read = _tlvs(frame, at)
    return Pdu(command, status, sequence, fields, tlvs, whole and rest_read)


def _tlvs(frame: bytes, at: int) -> tuple[Tlvs, bool]:
    """The optional parameters from `at` on, and whether they fill the frame to its end."""
    if at >= len(frame):
        return (), True
    found: list[tuple[int, bytes]] = []
    while at + _TLV.size <= len(frame):
        tag, length = _TLV.unpack_from(frame, at)
        at += _TLV.size
        if at + length > len(frame):
            return tuple(found), False
        found.append((tag, frame[at : at + length]))
        at += length
    return tuple(found), at == len(frame)


class Frames:
    """Cuts a stream into frames, however it was cut on the way. `broken` says why nothing can be read any more."""

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self.broken = ""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now. After a length that cannot be true: those before it, then none."""
        found: list[bytes] = []
        if self.broken:
            return found
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 4:
            length = int.from_bytes(buffer[at : at + 4], "big")
            if not HEADER_BYTES <= length <= self._bytes_max:
                self.broken = "bad_length"
                break
            if len(buffer) - at < length:
                break
            found.append(bytes(buffer[at : at + length]))
            at += length
        del buffer[: len(buffer) if self.broken else at]
        return found
