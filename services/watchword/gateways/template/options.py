"""An account's options, read once into a plan. The README beside this file is the table of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from watchword.gateways import facts
from watchword.gateways.outcome import OutcomeClass
from watchword.gateways.template import placeholders
from watchword.gateways.template.placeholders import Place, Text
from watchword.kernel.verification import ReceiptState

FACTS = facts.load(Path(__file__).parent)
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
_FAMILIES = ("header", "status", "error", "state")
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
        secret_in_header=where == "header",
        secret_name=secret_name,
    )
