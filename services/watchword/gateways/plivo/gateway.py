"""Plivo Messaging, API version 1.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from watchword.gateways import facts, forms, judging, links, proofs, reading, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (5, 10_800)
CATEGORIES = ("service_implicit", "transactional", "service_explicit", "promotional")


class Plivo:
    """`POST {url}/v1/Account/{auth_id}/Message/` and back."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        writing.fitting(account, FACTS.account)
        auth_id, category = account.options["auth_id"], writing.one_of(account, "dlt_category", CATEGORIES)
        pool = account.options.get("powerpack_uuid", "")
        told = {
            "powerpack_uuid" if pool else "src": pool or message.sender or account.sender,
            "dst": message.to.removeprefix("+"),
            "text": message.text,
            "message_expiry": writing.life_s(message, *LIFE_S),
        }
        if address := links.proving(account, message.client_ref):
            told |= {"url": address, "method": "POST"}
        if message.dlt_entity_id:
            told |= {
                "dlt_entity_id": message.dlt_entity_id,
                "dlt_template_id": message.dlt_template_id,
                "dlt_template_category": category,
            }
        headers = {
            "Authorization": writing.basic(auth_id, account.secrets["token"]),
            "Content-Type": "application/json",
        }
        url = f"{writing.callable_url(account.url)}/v1/Account/{writing.step(auth_id)}/Message/"
        return Request("POST", url, headers, orjson.dumps(told))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means. Errors are sentences here, so the status decides."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        provider_id = "" if answer.get("error") else reading.reference(reading.at(answer, "/message_uuid/0"))
        return judging.judge(FACTS, status, headers, provider_id=provider_id)

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in a form. Raises ValueError where it holds none."""
        told = forms.told(callback, LIMITS.callback_bytes_max)
        mcc, mnc = reading.word(told.get("MCC")), reading.word(told.get("MNC"))
        report = judging.report(
            FACTS,
            account,
            word=reading.word(told.get("Status")),
            code=reading.word(told.get("ErrorCode")),
            client_ref=links.reference_of(callback),
            provider_id=reading.reference(told.get("MessageUUID")),
            network=mcc + mnc,
        )
        return [report]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """By V3 of Plivo's signature, which covers address and fields. V2 covers neither query nor fields and is
        believed only at an address that we made."""
        secret = proofs.secret_of(account)
        if not secret:
            return False
        third = reading.header(callback.headers, "X-Plivo-Signature-V3")
        if third:
            nonce = reading.header(callback.headers, "X-Plivo-Signature-V3-Nonce")
            right = _third(callback, secret, nonce)
            return bool(right and nonce) and any(proofs.same(told, right) for told in third.split(","))
        nonce = reading.header(callback.headers, "X-Plivo-Signature-V2-Nonce")
        right = proofs.mac_base64(secret, _bytes(_bare(callback.url) + nonce))
        told = reading.header(callback.headers, "X-Plivo-Signature-V2")
        return bool(nonce) and proofs.same(told, right) and links.proven(callback, account)


def _third(callback: Callback, secret: str, nonce: str) -> str:
    """Base64 HMAC-SHA-256 over address, sorted query, ".", sorted fields, "." and nonce; "" for what is no form."""
    try:
        asked, posted = forms.asked(callback), forms.posted(callback, LIMITS.callback_bytes_max)
    except ValueError:
        return ""
    text = _bare(callback.url)
    if asked or posted:
        text += "?" + "&".join(f"{name}={value}" for name, value in sorted(asked))
    text += "." if asked and posted else ""
    text += "".join(f"{name}{value}" for name, value in sorted(posted))
    return proofs.mac_base64(secret, _bytes(f"{text}.{nonce}"))


def _bare(url: str) -> str:
    """The address without query and fragment, "" where it is none."""
    try:
        return urlsplit(url)._replace(query="", fragment="").geturl()
    except ValueError:
        return ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
