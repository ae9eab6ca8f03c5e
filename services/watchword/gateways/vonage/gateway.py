"""Vonage SMS API (rest.nexmo.com), the one with an api_key.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from watchword.gateways import facts, forms, judging, links, proofs, reading, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome
from watchword.kernel import gsm7

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (20, 604_800)
SENT = "0"
PARTLY = "partly_sent"
SIGNATURE = "sig"
CONVERSIONS_URL = "https://api.nexmo.com"  # another host than that of messages
ALGORITHMS = ("sha256", "sha512", "sha1", "md5")


class Vonage:
    """`POST {url}/sms/json` and back."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        writing.fitting(account, FACTS.account)
        _algorithm(account)
        _conversions(account)
        fields = {
            "api_key": account.options["api_key"],
            "api_secret": account.secrets["token"],
            "from": message.sender or account.sender,
            "to": message.to.removeprefix("+"),
            "text": message.text,
            "type": "text" if gsm7.size(message.text).encoding == "gsm7" else "unicode",
            "ttl": str(writing.life_s(message, *LIFE_S) * 1_000),
            "client-ref": message.client_ref,
            "callback": links.plain(account),
            "entity-id": message.dlt_entity_id,
            "content-id": message.dlt_template_id,
        }
        url = f"{writing.callable_url(account.url)}/sms/json"
        return Request("POST", url, {"Content-Type": forms.CONTENT_TYPE}, forms.written(fields))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means. It has one row for each part, and 200 whatever they say."""
        rows = reading.rows_of(reading.object_of(body, LIMITS.answer_bytes_max).get("messages"))
        words = [reading.word(row.get("status")) for row in rows]
        failed = [word for word in words if word != SENT]
        word = PARTLY if failed and SENT in words else (failed or [""])[0]
        provider_id = reading.reference(rows[0].get("message-id")) if rows else ""
        return judging.judge(FACTS, status, headers, provider_id=provider_id, word=word)

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says whether the code of the message was typed, and when. Raises ValueError as `encode`
        does."""
        writing.fitting(account, FACTS.account)
        asked = {
            "message-id": conversion.provider_id,
            "delivered": "true" if conversion.converted else "false",
            "timestamp": f"{conversion.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        }
        url = f"{_conversions(account)}/conversions/sms?{urlencode(asked)}"
        authorization = writing.basic(account.options["api_key"], account.secrets["token"])
        return Request("POST", url, {"Authorization": authorization}, b"")

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether Vonage took it, by the status: 402 where the account may not tell."""
        return judging.heard(FACTS, status, headers)

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in a query string, a form or an object. Raises ValueError where there is none."""
        told = _fields(callback)
        report = judging.report(
            FACTS,
            account,
            word=reading.word(told.get("status")),
            code=reading.word(told.get("err-code")),
            client_ref=reading.reference(told.get("client-ref")),
            provider_id=reading.reference(told.get("messageId")),
            network=reading.word(told.get("network-code")),
        )
        return [report]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """`sig`: hex HMAC over "&name=value" of every other field by name, "&" and "=" in values written "_"; and
        `timestamp` lately, since it is signed as well."""
        secret = proofs.secret_of(account)
        try:
            told, algorithm = _fields(callback), _algorithm(account)
        except ValueError:
            return False
        if not secret or not proofs.lately(told.get("timestamp", ""), now, FACTS.capabilities.replay_window_s):
            return False
        signed = "".join(
            f"&{name}={value.replace('&', '_').replace('=', '_')}"
            for name, value in sorted(told.items())
            if name != SIGNATURE
        )
        right = hmac.new(secret.encode(), signed.encode("utf-8", "surrogatepass"), algorithm).hexdigest()
        return proofs.same(told.get(SIGNATURE, "").lower(), right)


def _conversions(account: Account) -> str:
    return writing.callable_url(account.options.get("conversions_url", CONVERSIONS_URL), "options.conversions_url")


def _algorithm(account: Account) -> str:
    return writing.one_of(account, "signature_method", ALGORITHMS)


def _fields(callback: Callback) -> dict[str, str]:
    """The fields of a callback in any of its three forms. Raises ValueError where it has another."""
    told: Mapping[str, Any] = reading.object_of(callback.body, LIMITS.callback_bytes_max)
    if told:
        return {name: reading.scalar(value) for name, value in told.items()}
    return forms.told(callback, LIMITS.callback_bytes_max)
