"""The template gateway: any provider with a plain HTTP API, described by an account's options (README.md).

It is blind: nothing is known of the provider's memory, so a resend may be a second message. An account's options are
read once into a plan; the gateway does what the plan says.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from watchword.gateways import facts, judging, placeholders, reading, reasons, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.placeholders import SECRET, Place, Text
from watchword.kernel.verification import ReceiptState

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
FORM_FIELDS_MAX = 100
CONTENT_TYPES = {
    "application/x-www-form-urlencoded": Place.FORM,
    "application/x-www-form-urlencoded; charset=utf-8": Place.FORM,
    "application/json": Place.JSON,
    "application/json; charset=utf-8": Place.JSON,
}
METHODS = ("POST", "GET", "PUT")
FORMATS = ("json", "text")
RECEIPT_FORMATS = ("json", "form")
MARK = "{}"
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PATH = re.compile(r"[/?][\x21-\x22\x24-\x7e]{0,1023}")
_STATUSES = re.compile(r"[1-5][0-9]{2}(,[1-5][0-9]{2})*")
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
_FIELDS = ("receipt_ref", "receipt_id", "receipt_state", "receipt_code", "receipt_network", "receipt_at")
_SINGLE = frozenset(
    {"method", "path", "content_type", "body", "ok_status", "answer", "id", "error", "no_error"}
    | {"receipt_format", "receipt_list", "callback_secret", *_FIELDS}
)
_FAMILIES = ("header", "status", "error", "state", "reason")
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an answer to a send is judged. `id` and `error` are JSON pointers, or texts around {} for plain answers;
    "" where the provider tells none. `no_error` are words at `error` that mean that all is well, in lower case."""

    ok: frozenset[int]
    is_json: bool
    id: str
    error: str
    no_error: frozenset[str]
    statuses: Mapping[str, OutcomeClass]
    errors: Mapping[str, OutcomeClass]


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a callback holds what. `fields` are keyed by the option's name: JSON pointers, or form field names."""

    is_json: bool
    list: str
    fields: Mapping[str, str]
    states: Mapping[str, ReceiptState]
    reasons: Mapping[str, OutcomeClass]
    secret_in_header: bool
    secret_name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything an account's options ask for, checked."""

    method: str
    path: Text
    content_type: str
    body: Text
    headers: tuple[tuple[str, Text], ...]
    answer: Answer
    reports: Reports


def plan_of(options: Mapping[str, str]) -> Plan:
    """The plan of these options. Raises ValueError, naming the option, for whatever is unknown or does not fit."""
    return _plan(frozenset(options.items()))


@lru_cache(maxsize=256)
def _plan(items: frozenset[tuple[str, str]]) -> Plan:
    options = dict(items)
    _refuse_unknown(options)
    method = _one_of(options, "method", METHODS)
    content_type = _one_of(options, "content_type", tuple(CONTENT_TYPES)) if method != "GET" else ""
    body = options.get("body", "")
    if bool(body) == (method == "GET"):
        raise ValueError("body: GET has none, POST and PUT need one")
    return Plan(
        method=method,
        path=_path(options.get("path", "")),
        content_type=content_type,
        body=placeholders.read("body", body, CONTENT_TYPES.get(content_type, Place.FORM)),
        headers=tuple(_header(name, text) for name, text in sorted(_family(options, "header").items())),
        answer=_answer(options),
        reports=_reports(options),
    )


def _refuse_unknown(options: Mapping[str, str]) -> None:
    for name in sorted(options):
        family, dot, member = name.partition(".")
        if name not in _SINGLE and not (dot and member and family in _FAMILIES):
            raise ValueError(f"{name}: there is no such option")


def _family(options: Mapping[str, str], family: str) -> dict[str, str]:
    prefix = f"{family}."
    return {name[len(prefix) :]: value for name, value in options.items() if name.startswith(prefix)}


def _one_of(options: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """The option, or the first of `allowed` where it is absent."""
    value = options.get(name, allowed[0])
    if value not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(allowed)}")
    return value


def _path(text: str) -> Text:
    if text and not _PATH.fullmatch(text):
        raise ValueError("path: must begin with / or ? and hold no space, # or control character")
    return placeholders.read("path", text, Place.URL)


def _header(name: str, text: str) -> tuple[str, Text]:
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"header.{name}: not a header an account may set")
    return name, placeholders.read(f"header.{name}", text, Place.HEADER)


def _answer(options: Mapping[str, str]) -> Answer:
    ok = options.get("ok_status", "200,201,202")
    if not _STATUSES.fullmatch(ok):
        raise ValueError("ok_status: must be HTTP statuses separated by commas")
    is_json = _one_of(options, "answer", FORMATS) == "json"
    for name in ("id", "error"):
        _check_answer_mark(name, options.get(name, ""), is_json)
    words = options.get("no_error", "").lower().split(",")
    return Answer(
        ok=frozenset(int(status) for status in ok.split(",")),
        is_json=is_json,
        id=options.get("id", ""),
        error=options.get("error", ""),
        no_error=frozenset(word.strip() for word in words),
        statuses=FACTS.statuses | _words(options, "status", OutcomeClass),
        errors=FACTS.errors | _words(options, "error", OutcomeClass),
    )


def _check_answer_mark(name: str, mark: str, is_json: bool) -> None:
    if is_json:
        _check_pointer(name, mark)
    elif mark and (mark.count(MARK) != 1 or mark.startswith(MARK)):
        raise ValueError(f"{name}: must be text with {{}} once, and something before it")


def _check_pointer(name: str, pointer: str) -> None:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{name}: must be a JSON pointer such as /messages/0/id")


def _words(options: Mapping[str, str], family: str, kind: type[_Word]) -> dict[str, _Word]:
    """The members of a family as words of `kind`, keyed in lower case."""
    allowed = {word.value: word for word in kind}
    found = {}
    for member, value in _family(options, family).items():
        if value not in allowed:
            raise ValueError(f"{family}.{member}: must be one of {', '.join(allowed)}")
        found[member.lower()] = allowed[value]
    return found


def _reports(options: Mapping[str, str]) -> Reports:
    is_json = _one_of(options, "receipt_format", RECEIPT_FORMATS) == "json"
    fields = {name: options[name] for name in _FIELDS if options.get(name)}
    for name, field in {**fields, "receipt_list": options.get("receipt_list", "")}.items():
        if is_json:
            _check_pointer(name, field)
        elif name == "receipt_list" and field:
            raise ValueError("receipt_list: a form holds one report")
    where, _, secret_name = options.get("callback_secret", "").partition(":")
    if where not in ("", "header", "query") or bool(where) != bool(_PARAMETER.fullmatch(secret_name)):
        raise ValueError("callback_secret: must be header:<name> or query:<name>")
    return Reports(
        is_json=is_json,
        list=options.get("receipt_list", ""),
        fields=fields,
        states=FACTS.states | _words(options, "state", ReceiptState),
        reasons=_reasons(options),
        secret_in_header=where == "header",
        secret_name=secret_name,
    )


def _reasons(options: Mapping[str, str]) -> dict[str, OutcomeClass]:
    told = _family(options, "reason")
    for code, value in told.items():
        reasons.check(f"reason.{code}", code, value)
    return {code: OutcomeClass(value) for code, value in told.items()}


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
        _check_template(plan, values)
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
        "code": message.variables.get("code", ""),
        "template_id": account.text_for(message.template),
        "client_ref": message.client_ref,
        "sender": message.sender or account.sender,
        "validity_s": str(max(message.life_s, 1)),
        "dlt_entity_id": message.dlt_entity_id,
        "dlt_template_id": message.dlt_template_id,
        "dlt_telemarketers": message.dlt_telemarketers,
        "dlt_chain_hash": message.dlt_chain_hash,
        **{SECRET + name: value for name, value in account.secrets.items()},
    }


def _check_template(plan: Plan, values: Mapping[str, str]) -> None:
    told = (plan.path, plan.body, *(text for _, text in plan.headers))
    if not values["template_id"] and any("template_id" in text.names for text in told):
        raise ValueError("templates: must say by which id the provider has the template")


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
    known, code = reports.states.get(state.lower()), reading.word(told.get("receipt_code"))
    receipt = Receipt(
        state=known or ReceiptState.UNKNOWN,
        client_ref=client_ref,
        provider_id=provider_id,
        raw_code=code or state,
        network=reading.word(told.get("receipt_network")),
        provider_time=reading.moment(told.get("receipt_at")),
        unmapped="" if known else state,
    )
    return judging.explained(receipt, FACTS, word=state, code=code, own=reports.reasons.get(reasons.key_of(code)))


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
