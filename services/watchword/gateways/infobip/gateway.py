"""Infobip SMS, API version 3.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from watchword.gateways import facts, judging, links, reading, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (30, 172_800)


class Infobip:
    """`POST {url}/sms/3/messages` and back. Our reference is its message id."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        told: dict[str, Any] = {
            "sender": message.sender or account.sender,
            "destinations": [{"to": message.to.removeprefix("+"), "messageId": message.client_ref}],
            "content": {"text": message.text},
            "options": {"validityPeriod": {"amount": writing.life_s(message, *LIFE_S), "timeUnit": "SECONDS"}},
        }
        if message.dlt_entity_id:
            told["options"]["regional"] = {"indiaDlt": _india(message)}
        if address := links.proving(account, message.client_ref):
            delivery = {"url": address, "intermediateReport": True}
            told["webhooks"] = {"delivery": delivery, "contentType": "application/json"}
        headers = {**_authorization(account), "Content-Type": "application/json"}
        url = f"{writing.callable_url(account.url)}/sms/3/messages"
        tracked = {"conversionTracking": {"useConversionTracking": True}}
        whole = {"messages": [told], **({"options": tracked} if account.feedback else {})}
        return Request("POST", url, headers, orjson.dumps(whole))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: the id of the message's status decides, then that status' group."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        rows = reading.rows_of(answer.get("messages"))
        if not rows:
            return judging.judge(FACTS, status, headers, word=_error(answer))
        return judging.judge(
            FACTS,
            status,
            headers,
            provider_id=reading.reference(rows[0].get("messageId")),
            word=reading.word(reading.at(rows[0], "/status/id")),
            family=reading.word(reading.at(rows[0], "/status/groupName")),
        )

    def encode_lookup(self, client_ref: str, account: Account) -> Request:
        """The request that asks the logs for `client_ref`. Raises ValueError as `encode` does."""
        url = f"{writing.callable_url(account.url)}/sms/3/logs?messageId={quote(client_ref, safe='')}&limit=1"
        return Request("GET", url, _authorization(account), b"")

    def decode_lookup(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome | None:
        """ACCEPTED with its id and how far it came, None where the logs are readable and empty, else AMBIGUOUS."""
        results = reading.object_of(body, LIMITS.answer_bytes_max).get("results") if status == 200 else None
        rows = reading.rows_of(results)
        provider_id = reading.reference(rows[0].get("messageId")) if rows else ""
        receipt = FACTS.states.get(_word(rows[0]).lower()) if rows else None
        return judging.found(status, provider_id, absent=results == [], receipt=receipt)

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says that the code of the message was typed. Raises ValueError as `encode` does."""
        url = f"{writing.callable_url(account.url)}/ct/1/log/end/{writing.step(conversion.provider_id)}"
        return Request("POST", url, _authorization(account), b"")

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether Infobip took it."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.heard(FACTS, status, headers, word=_error(answer))

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The reports under "results". Raises ValueError where one is none, or on another message than the address
        that was called stands for."""
        told = reading.object_of(callback.body, LIMITS.callback_bytes_max).get("results")
        return [_receipt(row, callback, account) for row in reading.all_rows(told, LIMITS.receipts_max)]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback came to an address that we made, or carries the account's secret."""
        return links.believed(callback, account)


def _authorization(account: Account) -> dict[str, str]:
    writing.fitting(account, FACTS.account)
    return {"Authorization": f"App {account.secrets['token']}"}


def _india(message: Message) -> dict[str, str]:
    told = {"principalEntityId": message.dlt_entity_id, "contentTemplateId": message.dlt_template_id}
    return told | ({"telemarketerId": message.dlt_telemarketers} if message.dlt_telemarketers else {})


def _error(answer: Mapping[str, Any]) -> str:
    """The word of a refused request, in the newer form or the older one."""
    return reading.word(answer.get("errorCode") or reading.at(answer, "/requestError/serviceException/messageId"))


def _word(row: Mapping[str, Any]) -> str:
    """The id of a message's status where it is in the table, else the name of its group."""
    status = reading.word(reading.at(row, "/status/id"))
    return status if status in FACTS.states else reading.word(reading.at(row, "/status/groupName"))


def _receipt(row: Mapping[str, Any], callback: Callback, account: Account) -> Receipt:
    named = reading.reference(row.get("messageId"))
    return judging.report(
        FACTS,
        account,
        word=_word(row),
        code=reading.word(reading.at(row, "/error/id")),
        client_ref=links.meant(callback, named),
        provider_id=named,
        network=reading.word(row.get("mccMnc")),
        at=reading.moment(row.get("doneAt")),
    )
