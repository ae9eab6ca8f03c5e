"""Plivo Messaging, API version 1.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from watchword.gateways import facts, forms, judging, links, proofs, reading, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
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
        category = writing.one_of(account, "dlt_category", CATEGORIES)
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
        if account.feedback:
            told["trackable"] = True
        headers = {"Authorization": _authorization(account), "Content-Type": "application/json"}
        return Request("POST", _messages(account), headers, orjson.dumps(told))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means. Errors are sentences here, so the status decides."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        provider_id = "" if answer.get("error") else reading.reference(reading.at(answer, "/message_uuid/0"))
        return judging.judge(FACTS, status, headers, provider_id=provider_id)

    def encode_trace(self, provider_id: str, account: Account) -> Request:
        """The request that asks for the message with that uuid. Raises ValueError as `encode` does."""
        writing.fitting(account, FACTS.account)
        url = f"{_messages(account)}{writing.step(provider_id)}/"
        return Request("GET", url, {"Authorization": _authorization(account)}, b"")

    def decode_trace(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome | None:
        """ACCEPTED with how far it came, None for a 404 with an error in Plivo's form, else AMBIGUOUS."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.traced(
            FACTS,
            account,
            status,
            provider_id=reading.reference(answer.get("message_uuid")) if status == 200 else "",
            word=reading.word(answer.get("message_state")),
            code=reading.word(answer.get("error_code")),
            absent=status == 404 and bool(answer.get("error")),
        )

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says that the code of the message with that uuid was typed; what is not told was not
        converted there. Raises ValueError as `encode` does."""
        writing.fitting(account, FACTS.account)
        user, message = writing.step(account.options["auth_id"]), writing.step(conversion.provider_id)
        url = f"{writing.callable_url(account.url)}/v1/account/{user}/message/{message}/conversion/"
        headers = {"Authorization": _authorization(account), "Content-Type": "application/json"}
        told = {"status": "CONVERTED", "timestamp": writing.utc(conversion.at)}
        return Request("POST", url, headers, orjson.dumps(told))

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether Plivo took it, by the status."""
        return judging.heard(FACTS, status, headers)

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


def _authorization(account: Account) -> str:
    return writing.basic(account.options["auth_id"], account.secrets["token"])


def _messages(account: Account) -> str:
    return f"{writing.callable_url(account.url)}/v1/Account/{writing.step(account.options['auth_id'])}/Message/"


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
