"""Jasmin's HTTP API of a gateway of one's own.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import orjson

from watchword.gateways import facts, forms, judging, links, reading, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome
from watchword.gateways.parameters import parameters_of
from watchword.kernel import gsm7

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
FROM_CARRIER_AND_PHONE = "3"
GSM7, UCS2 = "0", "8"
JSON = "application/json"  # to the letter: with a charset Jasmin does not read it
Parameters = list[tuple[int, None, str, str]]


class Jasmin:
    """`POST {url}/send` and back."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret.

        No validity is asked for: Jasmin says `Success` to one message in ten with a validity and then drops it.
        """
        writing.fitting(account, FACTS.account)
        address = links.proving(account, message.client_ref)
        plain = gsm7.size(message.text).encoding == "gsm7"
        fields = {
            "username": account.options["username"],
            "password": account.secrets["token"],
            "to": message.to.removeprefix("+"),
            "from": message.sender or account.sender,
            "coding": GSM7 if plain else UCS2,
            "content" if plain else "hex-content": message.text if plain else message.text.encode("utf-16-be").hex(),
            "tags": account.options.get("tags", ""),
        }
        if address:
            fields |= {"dlr": "yes", "dlr-level": FROM_CARRIER_AND_PHONE, "dlr-method": "POST", "dlr-url": address}
        content_type, body = _body(fields, _parameters(message, account))
        return Request("POST", f"{writing.callable_url(account.url)}/send", {"Content-Type": content_type}, body)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: `Success "id"`, or `Error "sentence"`, where the status mostly decides."""
        text = reading.text_of(body, LIMITS.answer_bytes_max)
        provider_id = reading.reference(reading.quoted(text, "Success"))
        word = reading.word(reading.quoted(text, "Error"))
        return judging.judge(FACTS, status, headers, provider_id=provider_id, word=word)

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in a form or an address. Raises ValueError where it holds none."""
        told = forms.told(callback, LIMITS.callback_bytes_max)
        report = judging.report(
            FACTS,
            account,
            word=reading.word(told.get("message_status")),
            code=reading.word(told.get("err")),
            client_ref=links.reference_of(callback),
            provider_id=reading.reference(told.get("id")),
            network=reading.word(told.get("connector")),
        )
        return [report]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback came to an address that we made."""
        return links.believed(callback, account)


def _parameters(message: Message, account: Account) -> Parameters:
    """Tag, no length, type and value of each SMPP parameter that the message has. Raises ValueError naming the
    option."""
    told = parameters_of(account.options)
    for each in told:
        if each.fixed:
            raise ValueError(f"tlv_{each.tag:04x}: Jasmin takes text, no bytes")
    return [
        (each.tag, None, "COctetString" if each.ends_in_nul else "OctetString", value)
        for each in told
        if (value := each.written(message))
    ]


def _body(fields: Mapping[str, str], told: Parameters) -> tuple[str, bytes]:
    """Content type and body: Jasmin reads parameters from JSON only."""
    if not told:
        return forms.CONTENT_TYPE, forms.written(fields)
    given = {name: value for name, value in fields.items() if value != ""}
    return JSON, orjson.dumps(given | {"custom_tlvs": told})
