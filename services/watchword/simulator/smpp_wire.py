"""What the simulated SMSC says: statuses, receipts in their forms, and the texts in what was submitted."""

from collections import OrderedDict
from collections.abc import Mapping

from watchword.gateways.smpp import text
from watchword.gateways.smpp.pdu import Command, Field, Pdu, Tag, Tlvs
from watchword.simulator.behaviour import Smpp
from watchword.simulator.decide import Draw
from watchword.simulator.wire import Message, Report

JOINING_MAX = 1_000
# An ambiguous call is one that is not answered: SMPP has no word for it.
STATUSES: Mapping[str, int] = {
    "throttled": 0x58,
    "temporary": 0x08,
    "account": 0x0D,
    "configuration": 0x0A,
    "destination": 0x0B,
    "blocked": 0x66,
    "expired": 0x62,
    "malformed": 0x01,
    "unauthorized": 0x0D,
}
WORDS: Mapping[str, tuple[str, int]] = {
    "submitted": ("ACCEPTD", 6),
    "enroute": ("ENROUTE", 1),
    "unknown": ("UNKNOWN", 7),
    "expired": ("EXPIRED", 3),
    "undelivered": ("UNDELIV", 5),
    "rejected": ("REJECTD", 8),
    "delivered": ("DELIVRD", 2),
}
# SMPP has no place for a reference of the sender's. The carrier gives such a message one that nobody asked for.
NAMELESS = "smpp-"
_HEADER_OF_PARTS = b"\x05\x00\x03"


def response_id(message_id: str, habits: Smpp) -> bytes:
    """A message's id as the answer tells it."""
    return f"{_as_number(message_id):x}".encode() if habits.ids == "hex_then_decimal" else message_id.encode()


def receipt_id(message_id: str, habits: Smpp) -> bytes:
    """The same id as receipts tell it."""
    return f"{_as_number(message_id):010d}".encode() if habits.ids == "hex_then_decimal" else message_id.encode()


def _as_number(message_id: str) -> int:
    return int(message_id.rpartition("-")[2], 16)


def receipt(report: Report, submitted: Pdu, habits: Smpp, draw: Draw) -> Pdu:
    """A report on what was submitted, as text, as parameters, or both."""
    word, number = WORDS[report.state]
    message_id = receipt_id(report.id, habits)
    at = f"{report.at:%y%m%d%H%M}"
    told = (
        f"id:{message_id.decode()} sub:001 dlvrd:{'001' if number == 2 else '000'} submit date:{at} done date:{at} "
        f"stat:{word} err:{report.code} text:"
    ).encode()
    if draw.random() < habits.garbage_receipts:
        told = bytes(draw.getrandbits(8) for _ in range(40))
    tlvs: Tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, message_id + b"\0"),
        (Tag.MESSAGE_STATE, bytes((number,))),
        (Tag.NETWORK_ERROR_CODE, b"\x03" + int(report.code).to_bytes(2, "big")),
    )
    fields: dict[str, Field] = {
        "source": submitted.text("dest"),
        "dest": submitted.text("source"),
        "source_ton": submitted.number("dest_ton"),
        "source_npi": submitted.number("dest_npi"),
        "esm_class": 0x04,
        "short_message": b"" if habits.receipt_form == "parameters" else told,
    }
    return Pdu(Command.DELIVER_SM, fields=fields, tlvs=() if habits.receipt_form == "text" else tlvs)


class Joining:
    """Texts whose parts have not all come yet, the oldest forgotten first."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[bytes, bytes, int], dict[int, str]] = OrderedDict()

    def message(self, pdu: Pdu, draw: Draw) -> Message | None:
        """The message that a submission completes, None where more of its parts are to come."""
        octets, reference, total, number = _part(pdu)
        told = text.read(octets, pdu.number("data_coding"))
        if total > 1:
            key = (pdu.text("source"), pdu.text("dest"), reference)
            parts = self._texts.setdefault(key, {})
            parts[number] = told
            if len(parts) < total:
                if len(self._texts) > JOINING_MAX:
                    self._texts.popitem(last=False)
                return None
            del self._texts[key]
            told = "".join(parts[each] for each in sorted(parts))
        return Message(
            client_ref=f"{NAMELESS}{draw.getrandbits(64):016x}",
            to="+" + pdu.text("dest").decode("latin1"),
            text=told,
            sender=pdu.text("source").decode("latin1"),
        )


def _part(pdu: Pdu) -> tuple[bytes, int, int, int]:
    """The octets without their header, and reference, total and number of the part."""
    octets = pdu.message
    if pdu.number("esm_class") & text.UDHI and octets[:3] == _HEADER_OF_PARTS and len(octets) >= 6:
        return octets[6:], octets[3], octets[4], octets[5]
    reference, total = pdu.tlv(Tag.SAR_REFERENCE), pdu.tlv(Tag.SAR_TOTAL)
    number = pdu.tlv(Tag.SAR_NUMBER)
    if reference and total and number:
        return octets, int.from_bytes(reference, "big"), total[0], number[0]
    return octets, 0, 1, 1
