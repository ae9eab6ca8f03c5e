"""The echo gateway: the plainest provider that does everything right, and the one to copy.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from msgspec.structs import replace

from watchword.gateways import facts, judging, reading, reasons, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import ReceiptState

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
NOT_FOUND = "not_found"  # how a lookup says that it has never seen the reference; a bare 404 may be a wrong url
_SIGNED = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class Echo:
    """`POST {url}/messages` and back. Account secrets: `token` to call with, `callback` to check callbacks by."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError for an unusable url or token."""
        told = {
            "client_ref": message.client_ref,
            "to": message.to,
            "text": message.text,
            "sender": message.sender or account.sender,
            "validity_s": max(message.life_s, 1),
        }
        headers = {**_authorization(account), "Content-Type": "application/json"}
        return Request("POST", f"{writing.callable_url(account.url)}/messages", headers, orjson.dumps(told))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        provider_id = reading.reference(answer.get("id"))
        if 200 <= status < 300 and provider_id:
            return _accepted(status, provider_id, answer)
        error = reading.word(answer.get("error"))
        kind = FACTS.errors.get(error) or facts.of_status(FACTS.statuses, status)
        wait_ms = reading.retry_after_ms(headers) if kind is OutcomeClass.THROTTLED else 0
        return Outcome(kind, raw_code=error or str(status), retry_after_ms=wait_ms)

    def encode_lookup(self, client_ref: str, account: Account) -> Request:
        """The request that asks whether `client_ref` was accepted. Raises ValueError as `encode` does."""
        url = f"{writing.callable_url(account.url)}/messages?client_ref={quote(client_ref, safe='')}"
        return Request("GET", url, _authorization(account), b"")

    def decode_lookup(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome | None:
        """ACCEPTED with its id and how far it came, None where the provider itself says it has none, else AMBIGUOUS."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        provider_id = reading.reference(answer.get("id"))
        if status == 200 and provider_id:
            told = FACTS.states.get(reading.word(answer.get("state")))
            return replace(_accepted(status, provider_id, answer), receipt=told)
        error = reading.word(answer.get("error"))
        if status == 404 and error == NOT_FOUND:
            return None
        return Outcome(OutcomeClass.AMBIGUOUS, raw_code=error or str(status))

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The reports under "events". Raises ValueError where one of them is not a report: the whole callback is
        kept for a person to see, rather than a part of it silently lost."""
        told = reading.object_of(callback.body, LIMITS.callback_bytes_max).get("events")
        if not isinstance(told, list) or len(told) > LIMITS.receipts_max:
            raise ValueError(f"events: must be a list of at most {LIMITS.receipts_max}")
        return [_receipt(event, account) for event in told]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """`X-Echo-Signature: t=<unix s>,v1=<hex>`: HMAC-SHA-256 over "t.body", no further from `now` than the
        replay window on either side."""
        secret = account.secrets.get("callback", "")
        signed = _SIGNED.fullmatch(reading.header(callback.headers, "X-Echo-Signature"))
        if not secret or signed is None:
            return False
        signed_at, told = signed.groups()
        if abs(now.timestamp() - int(signed_at)) > FACTS.capabilities.replay_window_s:
            return False
        right = hmac.digest(secret.encode(), f"{signed_at}.".encode() + callback.body, "sha256").hex()
        return hmac.compare_digest(right, told)


def _authorization(account: Account) -> dict[str, str]:
    token = writing.header_value("secrets.token", account.secrets.get("token", ""))
    return {"Authorization": f"Bearer {token}"}


def _accepted(status: int, provider_id: str, answer: Mapping[str, Any]) -> Outcome:
    return Outcome(
        OutcomeClass.ACCEPTED,
        raw_code="duplicate" if answer.get("duplicate") is True else str(status),
        provider_id=provider_id,
        price_micros=reading.micros(answer.get("price_micros")),
        currency=reading.currency(answer.get("currency")),
    )


def _receipt(event: Any, account: Account) -> Receipt:
    if not isinstance(event, dict):
        raise ValueError("events: each must be an object")
    client_ref, provider_id = reading.reference(event.get("client_ref")), reading.reference(event.get("id"))
    if not client_ref and not provider_id:
        raise ValueError("events: each must name its id or client_ref")
    word = reading.word(event.get("state"))
    state = FACTS.states.get(word)
    code = reading.word(event.get("code"))
    receipt = Receipt(
        state=state or ReceiptState.UNKNOWN,
        client_ref=client_ref,
        provider_id=provider_id,
        raw_code=code or word,
        network=reading.word(event.get("network")),
        provider_time=reading.moment(event.get("at")),
        unmapped="" if state else word,
    )
    return judging.explained(receipt, FACTS, word=word, code=code, own=reasons.own(account.options, code))
