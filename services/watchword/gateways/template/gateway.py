"""The template gateway: any provider with a plain HTTP API, described by an account's options (README.md).

It is blind: nothing is known of the provider's memory, so a resend may be a second message.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from watchword.gateways import facts, reading, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.template.options import FACTS, MARK, Answer, Plan, Reports, plan_of
from watchword.gateways.template.placeholders import SECRET
from watchword.kernel.verification import ReceiptState

LIMITS = FACTS.limits
FORM_FIELDS_MAX = 100


class Template:
    """Whatever the account's options describe. Account secrets: those that `{secret.<name>}` asks for, and
    `callback` to check callbacks by."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong option, url or secret."""
        plan = plan_of(account.options)
        values = _values(message, account)
        _check_secrets(plan, values)
        headers = {name: text.render(values) for name, text in plan.headers}
        if plan.content_type:
            headers["Content-Type"] = plan.content_type
        url = writing.callable_url(account.url) + plan.path.render(values)
        return Request(plan.method, url, headers, plan.body.render(values).encode())

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means by the account's options."""
        try:
            answer = plan_of(account.options).answer
        except ValueError:  # changed since the message left: it did leave, and nothing can read the answer
            return Outcome(OutcomeClass.AMBIGUOUS, raw_code=str(status))
        provider_id, error, readable = _read(answer, body)
        kind = _judge(answer, status, provider_id, error, readable)
        return Outcome(
            kind,
            raw_code=error or str(status),
            provider_id=provider_id if kind is OutcomeClass.ACCEPTED else "",
            retry_after_ms=reading.retry_after_ms(headers) if kind is OutcomeClass.THROTTLED else 0,
        )

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The reports in a callback. Raises ValueError where it does not hold what the options promise."""
        reports = plan_of(account.options).reports
        told = _json_reports(reports, callback) if reports.is_json else [_form(callback)]
        return [_receipt(reports, report) for report in told]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback carries the secret `callback` where the option callback_secret says. No time and no
        body is signed: whoever once saw the secret can call back for ever, so it should be told over TLS only."""
        secret = account.secrets.get("callback", "")
        try:
            told = _told_secret(plan_of(account.options).reports, callback)
        except ValueError:
            return False
        return bool(secret) and hmac.compare_digest(_bytes(secret), _bytes(told))


def _values(message: Message, account: Account) -> dict[str, str]:
    return {
        "to": message.to,
        "to_digits": message.to.removeprefix("+"),
        "text": message.text,
        "client_ref": message.client_ref,
        "sender": message.sender or account.sender,
        "validity_s": str(max(message.life_s, 1)),
        **{SECRET + name: value for name, value in account.secrets.items()},
    }


def _check_secrets(plan: Plan, values: Mapping[str, str]) -> None:
    for text in (plan.body, *(text for _, text in plan.headers)):
        for name in sorted(text.names):
            if name.startswith(SECRET):
                writing.header_value(name, values.get(name, ""))


def _read(answer: Answer, body: bytes) -> tuple[str, str, bool]:
    """The provider's id, its error word, and whether the body could be read at all."""
    if answer.is_json:
        value = reading.json_of(body, LIMITS.answer_bytes_max)
        found = [reading.at(value, mark) if mark else "" for mark in (answer.id, answer.error)]
        readable = value is not None
    else:
        text = reading.text_of(body, LIMITS.answer_bytes_max)
        found = [reading.between(text, *_around(mark)) for mark in (answer.id, answer.error)]
        readable = bool(text)
    error = reading.word(found[1])
    return reading.reference(found[0]), "" if error.lower() in answer.no_error else error, readable


def _around(mark: str) -> tuple[str, str]:
    before, _, after = mark.partition(MARK)
    return before, after


def _judge(answer: Answer, status: int, provider_id: str, error: str, readable: bool) -> OutcomeClass:
    """A mapped error word decides; then the status, as far as the body bears it out."""
    mapped = answer.errors.get(error.lower())
    if mapped is not None:
        return mapped
    if status not in answer.ok:
        return facts.of_status(answer.statuses, status)
    if error:  # a word nobody mapped: not sent, unless there is an id as well
        return OutcomeClass.AMBIGUOUS if provider_id else OutcomeClass.TEMPORARY
    promised = answer.id or answer.error
    told = provider_id if answer.id else readable
    return OutcomeClass.ACCEPTED if told or not promised else OutcomeClass.AMBIGUOUS


def _json_reports(reports: Reports, callback: Callback) -> list[Any]:
    value = reading.json_of(callback.body, LIMITS.callback_bytes_max)
    if not reports.list:
        return [value]
    told = reading.at(value, reports.list)
    if not isinstance(told, list) or len(told) > LIMITS.receipts_max:
        raise ValueError(f"{reports.list}: must be a list of at most {LIMITS.receipts_max} reports")
    return told


def _form(callback: Callback) -> dict[str, str]:
    """The fields of the query string and of the form, the form's winning."""
    text = reading.text_of(callback.body, LIMITS.callback_bytes_max)
    if callback.body and not text:
        raise ValueError("body: not a form")
    return dict(_fields(_query(callback.url)) + _fields(text))


def _query(url: str) -> str:
    return url.partition("?")[2].partition("#")[0]


def _fields(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, max_num_fields=FORM_FIELDS_MAX)


def _receipt(reports: Reports, report: Any) -> Receipt:
    if not isinstance(report, dict):
        raise ValueError("body: a report must be an object or a form")
    told = {
        name: reading.at(report, field) if reports.is_json else report.get(field)
        for name, field in reports.fields.items()
    }
    client_ref, provider_id = reading.reference(told.get("receipt_ref")), reading.reference(told.get("receipt_id"))
    state = reading.word(told.get("receipt_state"))
    if not state or not (client_ref or provider_id):
        raise ValueError("body: a report must hold a state and a reference")
    return Receipt(
        state=reports.states.get(state.lower(), ReceiptState.UNKNOWN),
        client_ref=client_ref,
        provider_id=provider_id,
        raw_code=reading.word(told.get("receipt_code")) or state,
        network=reading.word(told.get("receipt_network")),
        provider_time=reading.moment(told.get("receipt_at")),
    )


def _told_secret(reports: Reports, callback: Callback) -> str:
    """The secret a callback carries, "" where it carries none or several. Raises ValueError on too many fields."""
    if not reports.secret_name:
        return ""
    if reports.secret_in_header:
        return reading.header(callback.headers, reports.secret_name)
    told = [value for name, value in _fields(_query(callback.url)) if name == reports.secret_name]
    return told[0] if len(told) == 1 else ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
