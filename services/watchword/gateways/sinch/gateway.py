"""Sinch SMS, the REST API called XMS.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from watchword.gateways import facts, judging, links, proofs, reading, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (1, 259_200)
SIGNATURE = "x-sinch-webhook-signature"


class Sinch:
    """`POST {url}/xms/v1/{service_plan_id}/batches` and back: one batch for each message."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        expires_at = message.at + timedelta(seconds=writing.life_s(message, *LIFE_S))
        told: dict[str, Any] = {
            "from": message.sender or account.sender,
            "to": [message.to],
            "body": message.text,
            "delivery_report": "per_recipient",
            "expire_at": expires_at.isoformat(timespec="milliseconds"),
            "client_reference": message.client_ref,
        }
        if address := links.proving(account, message.client_ref):
            told["callback_url"] = address
        if account.feedback:
            told["feedback_enabled"] = True
        headers = {**_authorization(account), "Content-Type": "application/json"}
        return Request("POST", _batches(account), headers, orjson.dumps(told))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: an error's `code` decides, then the status."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        provider_id = reading.reference(answer.get("id"))
        return judging.judge(FACTS, status, headers, provider_id=provider_id, word=reading.word(answer.get("code")))

    def encode_lookup(self, client_ref: str, account: Account) -> Request:
        """The request that asks for the batch of `client_ref`. Raises ValueError as `encode` does."""
        asked = urlencode({"client_reference": client_ref, "page_size": 1})
        return Request("GET", f"{_batches(account)}?{asked}", _authorization(account), b"")

    def decode_lookup(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome | None:
        """ACCEPTED with its id, None where the list is readable and empty, else AMBIGUOUS."""
        batches = reading.object_of(body, LIMITS.answer_bytes_max).get("batches") if status == 200 else None
        rows = reading.rows_of(batches)
        return judging.found(status, reading.reference(rows[0].get("id")) if rows else "", absent=batches == [])

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says that the code of the one message in that batch was typed: no recipients stands for all.
        Raises ValueError as `encode` does."""
        url = f"{_batches(account)}/{writing.step(conversion.provider_id)}/delivery_feedback"
        headers = {**_authorization(account), "Content-Type": "application/json"}
        return Request("POST", url, headers, orjson.dumps({"recipients": []}))

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether Sinch took it."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.heard(FACTS, status, headers, word=reading.word(answer.get("code")))

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in an object. Raises ValueError where it is none."""
        told = reading.object_of(callback.body, LIMITS.callback_bytes_max)
        return [_receipt(told, callback, account)]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Where Sinch signs: base64 HMAC-SHA-256 over "body.nonce.timestamp", dated lately. Where it does not: by the
        address, which we made."""
        told, nonce, signed_at = (
            reading.header(callback.headers, name)
            for name in (SIGNATURE, f"{SIGNATURE}-nonce", f"{SIGNATURE}-timestamp")
        )
        if not told:
            return links.believed(callback, account)
        secret = proofs.secret_of(account)
        signed = callback.body + f".{nonce}.{signed_at}".encode("utf-8", "surrogatepass")
        fresh = proofs.lately(signed_at, now, FACTS.capabilities.replay_window_s)
        return bool(secret) and fresh and proofs.same(told, proofs.mac_base64(secret, signed))


def _batches(account: Account) -> str:
    plan = writing.step(account.options.get("service_plan_id", ""))
    return f"{writing.callable_url(account.url)}/xms/v1/{plan}/batches"


def _authorization(account: Account) -> dict[str, str]:
    writing.fitting(account, FACTS.account)
    return {"Authorization": f"Bearer {account.secrets['token']}"}


def _receipt(told: Mapping[str, Any], callback: Callback, account: Account) -> Receipt:
    return judging.report(
        FACTS,
        account,
        word=reading.word(told.get("status")),
        code=reading.word(told.get("code")),
        client_ref=links.meant(callback, reading.reference(told.get("client_reference"))),
        provider_id=reading.reference(told.get("batch_id")),
        network=reading.word(told.get("operator")),
        at=reading.moment(told.get("operator_status_at")) or reading.moment(told.get("at")),
    )
