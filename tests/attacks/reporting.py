"""How a carrier of each gateway takes a message, and how it reports and proves what became of it: one of each kind of
proof in the catalogue. Written anew here, so that a door which believes is not told by itself what is right."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
JSON: Final = {"Content-Type": "application/json"}
NONCE: Final = "12345678901234567890"


@dataclass(frozen=True, slots=True)
class Told:
    """What is reported: the message by our reference and the carrier's own id, and whether it arrived. `address` is
    where the carrier calls, `account` whose address that is, `secret` what the carrier proves itself by."""

    address: str
    account: str
    secret: str
    ref: str
    id: str
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One call of the carriers' door. `fields` are a form, or JSON."""

    method: str = "POST"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The body as it is sent."""
        if not self.fields:
            return b""
        return json.dumps(self.fields).encode() if self.headers.items() >= JSON.items() else form(self.fields)

    def url(self, address: str) -> str:
        """The whole of an address."""
        return f"{address}?{urlencode(self.query)}" if self.query else address


@dataclass(frozen=True, slots=True)
class Kind:
    """A carrier: its account's options, how it answers a message and with which id, how it reports, and which headers
    and fields are the proof. `covers` says whether the proof is of this one report or of the sender alone."""

    name: str
    gateway: str
    answer: bytes
    id: str
    report: Callable[[Told], Report]
    proof: frozenset[str]
    options: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    covers_body: bool = False
    covers_message: bool = False

    def with_proof_of(self, report: Report, other: Report | None) -> Report:
        """`report` with the proof of another one, or none."""
        return Report(
            report.method,
            self._changed(report.query, other.query if other else {}),
            self._changed(report.headers, other.headers if other else {}),
            self._changed(report.fields, other.fields if other else {}),
        )

    def turned(self, report: Report) -> Report:
        """`report` with one character of its proof changed."""
        parts = (report.query, report.headers, report.fields)
        spoilt = [{name: _turned(str(value)) for name, value in part.items() if name in self.proof} for part in parts]
        return replace(
            report,
            query={**report.query, **spoilt[0]},
            headers={**report.headers, **spoilt[1]},
            fields={**report.fields, **spoilt[2]},
        )

    def _changed(self, part: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in part.items() if name not in self.proof}
        return kept | {name: value for name, value in other.items() if name in self.proof}


def _turned(text: str) -> str:
    """`text` with another first character: a digit, for in hex "B" would be the "b" that may have stood there."""
    return ("1" if text[:1] != "1" else "2") + text[1:]


def form(fields: Mapping[str, Any]) -> bytes:
    """A form's body."""
    return urlencode(fields).encode()


def _mac(secret: str, text: str, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), text.encode(), algorithm).digest()


def _base64(mac: bytes) -> str:
    return base64.b64encode(mac).decode()


def _link(told: Told) -> dict[str, str]:
    """The query of an address that we made for one message."""
    return {"ref": told.ref, "proof": _mac(told.secret, f"{told.account}\n{told.ref}").hex()[:32]}


def _twilio(told: Told) -> Report:
    fields = {"MessageSid": told.id, "MessageStatus": "delivered" if told.delivered else "failed"}
    report = Report(query={"ref": told.ref}, fields=fields)
    signed = report.url(told.address) + "".join(f"{name}{value}" for name, value in sorted(fields.items()))
    signature = _base64(_mac(told.secret, signed, "sha1"))
    return replace(report, headers=FORM | {"X-Twilio-Signature": signature})


def _plivo(told: Told) -> Report:
    fields = {"MessageUUID": told.id, "Status": "delivered" if told.delivered else "failed"}
    report = Report(query={"ref": told.ref}, fields=fields)
    posted = "".join(f"{name}{value}" for name, value in sorted(fields.items()))
    signature = _base64(_mac(told.secret, f"{report.url(told.address)}.{posted}.{NONCE}"))
    return replace(report, headers=FORM | {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": NONCE})


def _vonage(told: Told) -> Report:
    fields = {
        "messageId": told.id,
        "client-ref": told.ref,
        "status": "delivered" if told.delivered else "failed",
        "timestamp": str(int(time.time())),
    }
    signed = "".join(f"&{name}={value}" for name, value in sorted(fields.items()))
    return Report(headers=FORM, fields=fields | {"sig": _mac(told.secret, signed).hex()})


def _sinch(told: Told) -> Report:
    fields = {
        "batch_id": told.id,
        "client_reference": told.ref,
        "status": "Delivered" if told.delivered else "Failed",
    }
    report, at = Report(headers=JSON, fields=fields), str(int(time.time()))
    name = "x-sinch-webhook-signature"
    signature = _base64(_mac(told.secret, f"{report.body.decode()}.{NONCE}.{at}"))
    return replace(report, headers=JSON | {name: signature, f"{name}-nonce": NONCE, f"{name}-timestamp": at})


def _infobip(told: Told) -> Report:
    status = {"id": 5, "groupName": "DELIVERED"} if told.delivered else {"id": 9999, "groupName": "UNDELIVERABLE"}
    return Report(query=_link(told), headers=JSON, fields={"results": [{"messageId": told.ref, "status": status}]})


def _kannel(told: Told) -> Report:
    return Report("GET", query=_link(told) | {"type": "1" if told.delivered else "2", "id": told.id})


def _jasmin(told: Told) -> Report:
    fields = {"id": told.id, "level": "2", "message_status": "DELIVRD" if told.delivered else "UNDELIV"}
    return Report(query=_link(told), headers=FORM, fields=fields)


def _aws(told: Told) -> Report:
    word = "TEXT_DELIVERED" if told.delivered else "TEXT_INVALID"
    fields = {"eventType": word, "messageId": told.id, "context": {"client_ref": told.ref}}
    return Report(headers=JSON | {"X-Watchword-Secret": told.secret}, fields=fields)


def _msg91(told: Told) -> Report:
    fields = {"requestId": told.id, "CRQID": told.ref, "status": "1" if told.delivered else "2"}
    return Report(query={"key": told.secret}, headers=JSON, fields=fields)


def _plain(told: Told) -> dict[str, str]:
    return {"ref": told.ref, "id": told.id, "status": "DELIVRD" if told.delivered else "UNDELIV"}


def _by_header(told: Told) -> Report:
    return Report(headers=FORM | {"X-Carrier-Secret": told.secret}, fields=_plain(told))


def _by_query(told: Told) -> Report:
    return Report("GET", query=_plain(told) | {"token": told.secret})


def _echo(told: Told) -> Report:
    told_of = {"client_ref": told.ref, "id": told.id, "state": "delivered" if told.delivered else "undelivered"}
    report, at = Report(headers=JSON, fields={"events": [told_of]}), str(int(time.time()))
    mac = hmac.new(told.secret.encode(), f"{at}.".encode() + report.body, hashlib.sha256).hexdigest()
    return replace(report, headers=JSON | {"X-Echo-Signature": f"t={at},v1={mac}"})


_LINK = frozenset({"proof"})
_TEMPLATE = {
    "path": "/send", "body": "to={to_digits}&text={text}&ref={client_ref}", "answer": "text", "id": "OK {}",
    "receipt_format": "form", "receipt_ref": "ref", "receipt_id": "id", "receipt_state": "status",
}  # fmt: skip
_SINCH = frozenset(
    {"x-sinch-webhook-signature", "x-sinch-webhook-signature-nonce", "x-sinch-webhook-signature-timestamp"}
)
_SID, _UUID = f"SM{'0' * 32}", "07033084-5cfd-4812-90a4-e4d24ffb6e3d"
KINDS: Final = (
    Kind(
        "twilio", "twilio", json.dumps({"sid": _SID, "status": "queued"}).encode(), _SID, _twilio,
        frozenset({"X-Twilio-Signature"}), {"account_sid": "AC1"}, covers_body=True, covers_message=True,
    ),
    Kind(
        "plivo", "plivo", json.dumps({"message_uuid": [_UUID]}).encode(), _UUID, _plivo,
        frozenset({"X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"}), {"auth_id": "MA1"},
        covers_body=True, covers_message=True,
    ),
    Kind(
        "vonage", "vonage", b'{"messages": [{"message-id": "0A0000000123ABCD", "status": "0"}]}', "0A0000000123ABCD",
        _vonage, frozenset({"sig"}), {"api_key": "abcd1234", "signature_method": "sha256"},
        covers_body=True, covers_message=True,
    ),
    Kind(
        "sinch", "sinch", b'{"id": "01HB7XQ2M9S3ZK4V5W6X7Y8Z9A"}', "01HB7XQ2M9S3ZK4V5W6X7Y8Z9A", _sinch, _SINCH,
        {"service_plan_id": "0" * 32}, 'templates = {"*" = "registered"}', covers_body=True, covers_message=True,
    ),
    Kind(
        "echo", "echo", b'{"id": "m-1"}', "m-1", _echo, frozenset({"X-Echo-Signature"}),
        covers_body=True, covers_message=True,
    ),
    Kind(
        "infobip", "infobip", b'{"messages": [{"messageId": "m-1", "status": {"groupName": "PENDING", "id": 26}}]}',
        "m-1", _infobip, _LINK, covers_message=True,
    ),
    Kind("kannel", "kannel", b"0: Accepted for delivery", "", _kannel, _LINK, {"username": "u"}, covers_message=True),
    Kind(
        "jasmin", "jasmin", f'Success "{_UUID}"'.encode(), _UUID, _jasmin, _LINK, {"username": "u"},
        covers_message=True,
    ),
    Kind(
        "aws", "aws", json.dumps({"MessageId": _UUID}).encode(), _UUID, _aws, frozenset({"X-Watchword-Secret"}),
        {"access_key_id": "AKIDEXAMPLE", "region": "eu-west-1"},
    ),
    Kind(
        "msg91", "msg91", b'{"type": "success", "message": "346a7b6c6d4e373634313830"}', "346a7b6c6d4e373634313830",
        _msg91, frozenset({"key"}), {"code_variable": "OTP"}, more='templates = {"*" = "64d1f2a3b4c5d6e7f8091a2b"}',
    ),
    Kind(
        "by-header", "template", b"OK m-1", "m-1", _by_header, frozenset({"X-Carrier-Secret"}),
        _TEMPLATE | {"callback_secret": "header:X-Carrier-Secret"},
    ),
    Kind(
        "by-query", "template", b"OK m-1", "m-1", _by_query, frozenset({"token"}),
        _TEMPLATE | {"callback_secret": "query:token"},
    ),
)  # fmt: skip


def forgeries(kind: Kind, told: Told, other_ref: str) -> dict[str, Report]:
    """Every way to report `told` without being who may, by what is wrong with it."""
    genuine = kind.report(told)
    made = {
        "without a proof": kind.with_proof_of(genuine, None),
        "by another's secret": kind.report(replace(told, secret="another's")),
        "with nothing as the secret": kind.report(replace(told, secret="")),
        "one character changed": kind.turned(genuine),
    }
    if kind.covers_body:
        made["with the proof of another report"] = kind.with_proof_of(
            genuine, kind.report(replace(told, delivered=not told.delivered))
        )
    if kind.covers_message:
        made["with the proof of another message"] = kind.with_proof_of(
            genuine, kind.report(replace(told, ref=other_ref))
        )
    return made
