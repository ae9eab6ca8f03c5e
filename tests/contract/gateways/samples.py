"""Reads the recorded samples in gateways/<name>/wire/ for the one suite that runs over all of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import watchword.gateways
from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request
from watchword.gateways.facts import Feedback, Signature
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.dlt import chain_hash
from watchword.kernel.verification import ReceiptState

ROOT = Path(watchword.gateways.__file__).parent
CODE = "493021"
NUMBER = "+919876543210"
MESSAGE = Message(
    client_ref="018f3a5c-7b10-8c21-9d3e-5a6b7c8d9e0f",
    to=NUMBER,
    text=f'{CODE} is your "Shop" code.\nDon\u2019t share & don\'t pay 5% \\ {{to}}: \u0915\u094b\u0921 \U0001f600',
    sender="",
    life_s=240,
    at=datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC),
    variables={"code": CODE, "template": "default"},
    template="shop/default",
    dlt_entity_id="1101456789012345678",
    dlt_template_id="1107161234567890123",
    dlt_telemarketers="1102111111111111111,1102222222222222222",
    dlt_chain_hash=chain_hash("1101456789012345678", ("1102111111111111111", "1102222222222222222")),
)
# What a reason may make of a report that a message did not arrive.
_AS_TOLD = {ReceiptState.UNDELIVERED, ReceiptState.REJECTED}
EXPLAINED = {
    OutcomeClass.BLOCKED: {ReceiptState.REJECTED},
    OutcomeClass.CONFIGURATION: {ReceiptState.REJECTED},
    OutcomeClass.ACCOUNT: {ReceiptState.REJECTED},
    OutcomeClass.EXPIRED: {ReceiptState.EXPIRED},
    OutcomeClass.DESTINATION: _AS_TOLD,
    OutcomeClass.TEMPORARY: _AS_TOLD,
    OutcomeClass.THROTTLED: _AS_TOLD,
}


@dataclass(frozen=True)
class Sent:
    """An account and the recorded bytes of `MESSAGE` sent through it, or of the question about it."""

    gateway: str
    account: Account
    recorded: bytes


@dataclass(frozen=True)
class Answered:
    """A recorded answer; `expected` is None where a question found nothing."""

    gateway: str
    account: Account
    status: int
    headers: Mapping[str, str]
    body: bytes
    expected: Outcome | None


@dataclass(frozen=True)
class Called:
    """A recorded callback, when it came, how it is proven, and its receipts; `expected` is None where it must be
    refused."""

    gateway: str
    account: Account
    at: datetime
    signature: Signature
    callback: Callback
    expected: list[Receipt] | None


def accounts() -> list[tuple[str, Account]]:
    """Every recorded account, with its gateway."""
    return [
        (gateway, Account(id=account_id, gateway=gateway, **fields))
        for gateway in GATEWAYS
        for account_id, fields in _read(gateway, "accounts").items()
    ]


def sends() -> list[Sent]:
    """One recorded send for every account."""
    return [_sent(gateway, account, "send") for gateway, account in accounts()]


def lookups() -> list[Sent]:
    """One recorded question for every account of a gateway that can be asked."""
    asked = ((name, account) for name, account in accounts() if facts_of(name).capabilities.lookup)
    return [_sent(gateway, account, "lookup") for gateway, account in asked]


def traces() -> list[Sent]:
    """One recorded question by the provider's id for every account of a gateway that can be asked so."""
    asked = ((name, account) for name, account in accounts() if facts_of(name).capabilities.trace)
    return [_sent(gateway, account, "trace") for gateway, account in asked]


def announced() -> list[Sent]:
    """One recorded send for every account of a gateway that takes feedback, once it is to be told."""
    return [_sent(gateway, replace(account, feedback=True), "announce") for gateway, account in _tellable()]


def feedbacks() -> list[tuple[Sent, Conversion]]:
    """What a provider is told of a message whose code was typed and, where it takes that, of one whose was not."""
    return [
        (_sent(gateway, replace(account, feedback=True), kind), conversion_of(gateway, converted=kind == "converted"))
        for gateway, account in _tellable()
        for kind in ("converted", "unconverted")
        if kind == "converted" or facts_of(gateway).capabilities.feedback is Feedback.EITHER
    ]


def conversion_of(gateway: str, *, converted: bool) -> Conversion:
    """What became of `MESSAGE` forty seconds later, told a minute after that."""
    at = MESSAGE.at + timedelta(seconds=40)
    return Conversion(id_of(gateway), converted, at, at + timedelta(minutes=1))


def _tellable() -> list[tuple[str, Account]]:
    return [each for each in accounts() if facts_of(each[0]).capabilities.feedback is not Feedback.NONE]


def answers(table: str) -> list[Answered]:
    """Every line of a table, "send", "lookup", "trace" or "feedback", of every gateway's answers.toml."""
    return [
        Answered(
            gateway,
            account=known[case.get("account", next(iter(known)))],
            status=case["status"],
            headers=case.get("headers", {}),
            body=case["body"].encode(),
            expected=None if case.get("unseen") else _outcome(case["expect"]),
        )
        for gateway, known in _by_gateway().items()
        for case in _read(gateway, "answers").get(table, ())
    ]


def id_of(gateway: str) -> str:
    """A message id as the gateway gives them: that of its first recorded acceptance."""
    taken = (case.expected for case in answers("send") if case.gateway == gateway)
    return next(told.provider_id for told in taken if told and told.provider_id)


def callbacks() -> list[Called]:
    """Every recorded callback of every gateway."""
    return [
        Called(
            gateway,
            account=known[case["account"]],
            at=case["at"],
            signature=Signature(case.get("signature", facts_of(gateway).capabilities.signature)),
            callback=Callback(case["method"], case["url"], case["headers"], case["body"].encode()),
            expected=None if case.get("refused") else [_receipt(told) for told in case["expect"]],
        )
        for gateway, known in _by_gateway().items()
        for case in _read(gateway, "callbacks")["callback"]
    ]


def as_recorded(request: Request) -> bytes:
    """A request the way it is recorded: request line, headers by name, an empty line, the body."""
    headers = "".join(f"{name}: {value}\n" for name, value in sorted(request.headers.items()))
    return f"{request.method} {request.url}\n{headers}\n".encode() + request.body


def _sent(gateway: str, account: Account, kind: str) -> Sent:
    return Sent(gateway, account, (ROOT / gateway / "wire" / f"{kind}.{account.id}.http").read_bytes())


def _by_gateway() -> dict[str, dict[str, Account]]:
    known: dict[str, dict[str, Account]] = {}
    for gateway, account in accounts():
        known.setdefault(gateway, {})[account.id] = account
    return known


def _read(gateway: str, table: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / gateway / "wire" / f"{table}.toml").read_text("utf-8"))


def _outcome(told: Mapping[str, Any]) -> Outcome:
    receipt = ReceiptState(told["receipt"]) if "receipt" in told else None
    return Outcome(**{**told, "kind": OutcomeClass(told["kind"]), "receipt": receipt})


def _receipt(told: Mapping[str, Any]) -> Receipt:
    time = datetime.fromisoformat(told["provider_time"]) if "provider_time" in told else None
    reason = OutcomeClass(told["reason"]) if "reason" in told else None
    return Receipt(**{**told, "state": ReceiptState(told["state"]), "provider_time": time, "reason": reason})
