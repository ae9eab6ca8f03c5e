"""Every provider of the catalogue reports in its own shape, to the address we gave it, and is understood.

Each carrier here calls the address that its gateway wrote into the request for the message, signed by the vendor's
own library where it signs.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import UUID

import msgspec
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from twilio.request_validator import RequestValidator
from vonage_http_client.auth import Auth

from tests.contract.gateways import samples
from tests.support.door import Answered, calling
from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued
from watchword.events import topics
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Message
from watchword.local.ports import LOOPBACK, free_ports
from watchword.runtime import configuration_file

CONFIGURATION = Path(__file__).with_name("carriers.toml")
PUBLIC = "https://otp.example"
SECRET = "callback-secret"
TOLD_SECRET = {"X_Watchword_Secret": SECRET}


@dataclass(frozen=True)
class Report:
    """What a carrier sends: to the address as it stands, or with a query of its own."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    method: str = "POST"


def _twilio(address: str, ref: str) -> Report:
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": samples.NUMBER}
    return Report(
        urlencode(fields).encode(), {"X_Twilio_Signature": RequestValidator(SECRET).compute_signature(address, fields)}
    )


def _vonage(address: str, ref: str) -> Report:
    fields = {"messageId": "V1", "status": "delivered", "client-ref": ref, "msisdn": samples.NUMBER}
    fields["timestamp"] = str(int(datetime.now(UTC).timestamp()))
    signature = Auth(api_key="k", signature_secret=SECRET, signature_method="sha256").sign_params(dict(fields))
    return Report(query="?" + urlencode(fields | {"sig": signature}), method="GET")


def _plivo(address: str, ref: str) -> Report:
    fields = {"MessageUUID": "P1", "Status": "delivered", "To": samples.NUMBER}
    signature = get_signature_v3(SECRET, construct_post_url(address, dict(fields)).decode(), "17").decode()
    headers = {"X_Plivo_Signature_V3": signature, "X_Plivo_Signature_V3_Nonce": "17"}
    return Report(urlencode(fields).encode(), headers)


def _infobip(address: str, ref: str) -> Report:
    row = {"messageId": ref, "to": samples.NUMBER, "status": {"id": 5, "groupName": "DELIVERED"}, "error": {"id": 0}}
    return Report(json.dumps({"results": [row]}).encode())


def _sinch(address: str, ref: str) -> Report:
    told = {"batch_id": "S1", "status": "Delivered", "code": 0, "client_reference": ref, "recipient": samples.NUMBER}
    return Report(json.dumps(told).encode())


def _msg91(address: str, ref: str) -> Report:
    reports = [{"number": samples.NUMBER, "status": "1", "desc": "DELIVERED", "CRQID": ref}]
    data = json.dumps([{"requestId": "M1", "report": reports}])
    return Report(urlencode({"data": data}).encode(), TOLD_SECRET)


def _aws(address: str, ref: str) -> Report:
    detail = {"eventType": "TEXT_DELIVERED", "messageId": "A1", "context": {"client_ref": ref}}
    return Report(json.dumps({"source": "aws.sms-voice", "detail": detail}).encode(), TOLD_SECRET)


def _kannel(address: str, ref: str) -> Report:
    return Report(method="GET")


def _jasmin(address: str, ref: str) -> Report:
    return Report(urlencode({"id": "J1", "level": "2", "message_status": "DELIVRD", "err": "000"}).encode())


CARRIERS: Mapping[str, Callable[[str, str], Report]] = {
    "twilio": _twilio,
    "vonage": _vonage,
    "plivo": _plivo,
    "infobip": _infobip,
    "sinch": _sinch,
    "msg91": _msg91,
    "aws": _aws,
    "kannel": _kannel,
    "jasmin": _jasmin,
}


def address_told(account: Account, ref: str) -> str:
    """Where the provider will report to: what stands in the request, or without such a field the account's own."""
    message = Message(ref, samples.NUMBER, "493021 is your code", "", life_s=240, at=datetime.now(UTC))
    request = GATEWAYS[account.gateway].encode(message, account)
    text = f"{request.url} {request.body.decode()}"
    found = re.search(rf"{PUBLIC}/receipts/[^\"\s&]*(&proof=[0-9a-f]+)?", text) or re.search(
        rf"{re.escape(PUBLIC.replace(':', '%3A').replace('/', '%2F'))}[^&\s]*", text
    )
    address = unquote(found[0]) if found else f"{PUBLIC}/receipts/{account.id}"
    return address.replace("%d", "1").replace("%F", "K1")


async def test_every_provider_is_understood_in_its_own_shape(stand: Pipeline) -> None:
    await stand.configure(CONFIGURATION)
    accounts = configuration_file.read(CONFIGURATION, gateways=frozenset(GATEWAYS)).accounts
    assert {each.gateway for each in accounts} == set(CARRIERS) == set(GATEWAYS) - {"echo", "template"}
    [port] = free_ports(1)
    sent: dict[UUID, str] = {}
    answers: dict[str, Answered] = {}
    async with (
        stand.running("receipts", receipts_http_port=port, public_receipts_url=PUBLIC),
        calling(f"http://{LOOPBACK}:{port}") as caller,
    ):
        for document in accounts:
            account = msgspec.convert(msgspec.to_builtins(document), Account)
            ours = await attempt(
                stand, await issued(stand), state="accepted", account=account.id, gateway=account.gateway
            )
            sent[ours] = account.id
            address = address_told(account, str(ours))
            report = CARRIERS[account.gateway](address, str(ours))
            path = address.removeprefix(PUBLIC) + report.query
            forged = await caller.send(report.method, path.replace(str(ours)[:8], "00000000"), b"", X_None="1")
            assert forged.status == 403, account.gateway
            answers[account.gateway] = await caller.send(report.method, path, report.body, **_typed(report))
        told = await stand.told(topics.LIFECYCLE, count=len(sent), name="receipt-recorded")
    recorded = {each.event.attempt_id: each.event for each in told if isinstance(each.event, ReceiptRecorded)}
    assert {ours: event.account for ours, event in recorded.items()} == sent
    assert {event.state for event in recorded.values()} == {"delivered"}
    bodies = {gateway: (answer.status, answer.body) for gateway, answer in answers.items()}
    assert bodies.pop("jasmin") == (200, b"ACK/Jasmin")
    assert set(bodies.values()) == {(200, b"")}


def _typed(report: Report) -> dict[str, Any]:
    is_json = report.body.startswith(b"{")
    return {"Content_Type": "application/json" if is_json else "application/x-www-form-urlencoded", **report.headers}
