"""The two languages carriers speak, as bytes: echo (JSON, signed receipts) and blind (a form and plain text).

Written apart from gateways/echo on purpose: a mistake there should meet an answer that does not share it.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qs, urlencode

import msgspec
from msgspec import Meta

NUMBER = re.compile(r"\+?([0-9]{6,15})")
NETWORK = "00101"
FORM_FIELDS_MAX = 20

ECHO_ERRORS: Mapping[str, tuple[int, str]] = {
    "throttled": (429, "throttled"),
    "temporary": (503, "unavailable"),
    "ambiguous": (500, "internal"),
    "account": (402, "no_credit"),
    "configuration": (422, "bad_sender"),
    "destination": (422, "bad_number"),
    "blocked": (403, "spam"),
    "expired": (410, "too_late"),
    "malformed": (400, "bad_request"),
    "unauthorized": (401, "unauthorized"),
    "not_found": (404, "not_found"),
}
BLIND_STATUS: Mapping[str, int] = {"throttled": 429, "temporary": 503, "ambiguous": 500}  # all else comes with 200
BLIND_WORDS = {"submitted": "ACCEPTED", "enroute": "ENROUTE", "unknown": "UNKNOWN", "expired": "EXPIRED"} | {
    "undelivered": "UNDELIV",
    "rejected": "REJECTD",
    "delivered": "DELIVRD",
}
CODES = {"undelivered": "001", "rejected": "013", "expired": "027"}


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message to a carrier, in whichever language it came."""

    client_ref: Annotated[str, Meta(min_length=1, max_length=128)]
    to: Annotated[str, Meta(max_length=64)]
    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    sender: Annotated[str, Meta(max_length=64)] = ""
    validity_s: Annotated[int, Meta(ge=1, le=604_800)] = 86_400


class Accepted(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The echo answer to a message, and with its state to a lookup."""

    id: str
    client_ref: str
    segments: int
    price_micros: int
    currency: str
    duplicate: bool
    state: str = ""


class Report(msgspec.Struct, frozen=True, gc=False):
    """One receipt as the echo protocol tells it."""

    id: str
    client_ref: str
    state: str
    code: str
    network: str
    at: datetime


_message = msgspec.json.Decoder(Message)
encode = msgspec.json.Encoder().encode


def number(text: str) -> str:
    """`text` as + and digits, "" where it is no phone number."""
    found = NUMBER.fullmatch(text)
    return f"+{found[1]}" if found and text.isascii() else ""


def echo_message(body: bytes) -> Message | None:
    """The message in a JSON body, None where it is not one."""
    try:
        return _message.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def blind_message(body: bytes) -> tuple[Message | None, str]:
    """The message and the key in a form: `to`, `text`, `from`, `ref`, `ttl`, `key`; None where it is not one."""
    try:
        form = parse_qs(body.decode("ascii"), max_num_fields=FORM_FIELDS_MAX, errors="strict")
        told = {name: values[0] for name, values in form.items() if len(values) == 1}
        fields = {"client_ref": told.get("ref", "-"), "to": told["to"], "text": told["text"]}
        fields |= {"sender": told.get("from", ""), "validity_s": told.get("ttl", "86400")}
        return msgspec.convert(fields, Message, strict=False), told.get("key", "")
    except (KeyError, ValueError):
        return None, ""


def echo_error(error: str) -> tuple[int, bytes]:
    """Status and body of a refusal."""
    status, word = ECHO_ERRORS[error]
    return status, b'{"error":"%s"}' % word.encode()


def blind_error(error: str) -> tuple[int, bytes]:
    """Status and body of a refusal in plain text."""
    return BLIND_STATUS.get(error, 200), b"ERR %s simulated" % error.encode()


def echo_receipts(reports: Sequence[Report], secret: str, now: datetime) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one callback, signed as of `now`."""
    body = encode({"events": reports})
    signed_at = str(int(now.timestamp()))
    mac = hmac.digest(secret.encode(), signed_at.encode() + b"." + body, "sha256").hex()
    return body, {"Content-Type": "application/json", "X-Echo-Signature": f"t={signed_at},v1={mac}"}


def blind_receipt(report: Report, secret: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one callback as a form, with the secret beside it."""
    fields = {
        "ref": report.client_ref,
        "id": report.id,
        "status": BLIND_WORDS[report.state],
        "err": report.code,
        "net": report.network,
        "done": report.at.isoformat(),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Carrier-Secret": secret}
    return urlencode(fields).encode(), headers


def code_of(state: str) -> str:
    """The network code that goes with a state."""
    return CODES.get(state, "000")
