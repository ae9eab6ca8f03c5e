"""The delivery report inside a deliver_sm or data_sm: optional parameters first, then the text, which never raises.

Texts are vendor-shaped: keys in any case and order, any of them missing, codes of letters, colons inside the text
(SMPP 3.4, appendix B, is an example and not a rule). Dates are in the SMSC's local time and order nothing, so they
are not read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from watchword.gateways.reasons import network_code
from watchword.gateways.smpp.pdu import Command, Pdu, Tag

REPORT: Final = 0x04
NOTIFICATION: Final = 0x20
_KIND = 0x3C
_TEXT_BYTES_MAX = 4_096
_KEY = re.compile(
    r"(?:^|(?<=[\s;,]))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)[ \t]{0,4}:", re.IGNORECASE
)
_WORDS = frozenset({"stat", "err"})  # what follows them may be the message itself, under a key that nobody knows


@dataclass(frozen=True, slots=True)
class Told:
    """What a report says, in the carrier's words: "" or None where it does not say. `state` is a word such as
    "delivrd", `number` that of message_state; `code` the network's."""

    id: bytes = field(default=b"", repr=False)
    state: str = ""
    number: int | None = None
    code: str = ""


def is_report(pdu: Pdu) -> bool:
    """Whether the unit reports on a message of ours, and is not one from a phone."""
    if pdu.command not in (Command.DELIVER_SM, Command.DATA_SM):
        return False
    kind = pdu.number("esm_class") & _KIND
    if kind in (REPORT, NOTIFICATION, REPORT | NOTIFICATION):
        return True
    return kind == 0 and pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None and pdu.tlv(Tag.MESSAGE_STATE) is not None


def told_by(pdu: Pdu) -> Told:
    """What a report says. Total."""
    keys = keys_of(pdu.message)
    state = pdu.tlv(Tag.MESSAGE_STATE)
    return Told(
        id=(pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) or b"").rstrip(b"\0") or keys.get("id", "").encode("latin1"),
        state=keys.get("stat", "").lower(),
        number=state[-1] if state else None,
        code=network_code(pdu.tlv(Tag.NETWORK_ERROR_CODE) or b"") or keys.get("err", ""),
    )


def keys_of(text: bytes) -> Mapping[str, str]:
    """The values of a report's text by key in lower case; of a key that stands twice, the first. Total."""
    told = text[:_TEXT_BYTES_MAX].decode("latin1")
    found: dict[str, str] = {}
    places = list(_KEY.finditer(told))
    for place, key in enumerate(places):
        name = key[1].lower()
        if name == "text":
            found.setdefault(name, told[key.end() :].strip())
            break
        end = places[place + 1].start() if place + 1 < len(places) else len(told)
        value = told[key.end() : end].strip(" \t\r\n\0;,")
        words = value.split(maxsplit=1) if name in _WORDS else [value]
        found.setdefault(name, words[0] if words else "")  # what looks like nothing may be spaces of other kinds
    return found
