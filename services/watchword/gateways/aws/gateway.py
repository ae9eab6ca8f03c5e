"""AWS End User Messaging SMS (PinpointSMSVoiceV2).

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from watchword.gateways import facts, judging, proofs, reading, sigv4, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (5, 259_200)
SEND = "PinpointSMSVoiceV2.SendTextMessage"
TELL = "PinpointSMSVoiceV2.PutMessageFeedback"
SERVICE = "sms-voice"
REFERENCE = "client_ref"  # the name our reference has in Context, which comes back in every event
MOMENT_MS_MAX = 10**14


class Aws:
    """`SendTextMessage` of one region, and the events EventBridge carries here."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`, signed as of `message.at`. Raises ValueError, naming it, for a wrong url,
        option or secret."""
        writing.fitting(account, FACTS.account)
        told: dict[str, Any] = {
            "DestinationPhoneNumber": message.to,
            "MessageBody": message.text,
            "MessageType": "TRANSACTIONAL",
            "TimeToLive": writing.life_s(message, *LIFE_S),
            "Context": {REFERENCE: message.client_ref},
        }
        if sender := message.sender or account.sender:
            told["OriginationIdentity"] = sender
        if configuration_set := account.options.get("configuration_set"):
            told["ConfigurationSetName"] = configuration_set
        if message.dlt_entity_id:
            india = {"IN_ENTITY_ID": message.dlt_entity_id, "IN_TEMPLATE_ID": message.dlt_template_id}
            told["DestinationCountryParameters"] = india
        if account.feedback:
            told["MessageFeedbackEnabled"] = True
        return _signed(SEND, told, account, message.at)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: the exception's Reason decides, then the exception."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.judge(
            FACTS,
            status,
            headers,
            provider_id=reading.reference(answer.get("MessageId")),
            word=reading.word(answer.get("Reason")),
            family=_exception(answer),
        )

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says whether the code of the message was typed, signed as of `conversion.now`. Raises
        ValueError as `encode` does."""
        writing.fitting(account, FACTS.account)
        status = "RECEIVED" if conversion.converted else "FAILED"
        told = {"MessageFeedbackStatus": status, "MessageId": conversion.provider_id}
        return _signed(TELL, told, account, conversion.now)

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether AWS took it, by the exception's Reason, then the exception, then the status."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        word, family = reading.word(answer.get("Reason")), _exception(answer)
        return judging.heard(FACTS, status, headers, word=word, family=family)

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The event, bare or as EventBridge wraps it. Raises ValueError where it is none."""
        told = reading.object_of(callback.body, LIMITS.callback_bytes_max)
        detail = told.get("detail", told)
        return [_receipt(detail if isinstance(detail, dict) else {}, account)]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback carries the account's secret: the API key of EventBridge's connection."""
        return proofs.tells_secret(callback, account)


def _signed(target: str, told: Mapping[str, Any], account: Account, at: datetime) -> Request:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    request = Request("POST", f"{writing.callable_url(account.url)}/", headers, orjson.dumps(told))
    signer = sigv4.Signer(
        account.options["access_key_id"], account.secrets["token"], account.options["region"], SERVICE
    )
    return sigv4.signed(request, signer, at)


def _exception(answer: Mapping[str, Any]) -> str:
    return reading.word(answer.get("__type")).rpartition("#")[2]


def _receipt(told: Mapping[str, Any], account: Account) -> Receipt:
    return judging.report(
        FACTS,
        account,
        word=reading.word(told.get("eventType")),
        client_ref=reading.reference(reading.at(told, f"/context/{REFERENCE}")),
        provider_id=reading.reference(told.get("messageId")),
        network=reading.word(told.get("mcc")) + reading.word(told.get("mnc")),
        at=_moment(told.get("eventTimestamp")),
    )


def _moment(unix_ms: Any) -> datetime | None:
    if not isinstance(unix_ms, int) or not 0 < unix_ms < MOMENT_MS_MAX:
        return None
    return datetime.fromtimestamp(unix_ms / 1_000, UTC)
