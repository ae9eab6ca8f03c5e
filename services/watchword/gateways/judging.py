"""What a provider's words mean by the tables in its gateway.toml: of an answer, and of a delivery report."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from watchword.gateways import facts, reading, reasons
from watchword.gateways.contract import Account, Receipt
from watchword.gateways.facts import Facts
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import ReceiptState

UNFAMILIAR_ID = "unfamiliar_id"
# The class of a failure whose reason is not told, or not known.
_BY_STATE = {
    ReceiptState.UNDELIVERED: OutcomeClass.TEMPORARY,
    ReceiptState.REJECTED: OutcomeClass.CONFIGURATION,
    ReceiptState.EXPIRED: OutcomeClass.EXPIRED,
}
_SAYS_WHY = frozenset({ReceiptState.UNDELIVERED, ReceiptState.REJECTED})
# What a reason makes of a failure; by any other the state stays as it was told.
_REFINED = {
    OutcomeClass.BLOCKED: ReceiptState.REJECTED,
    OutcomeClass.CONFIGURATION: ReceiptState.REJECTED,
    OutcomeClass.ACCOUNT: ReceiptState.REJECTED,
    OutcomeClass.EXPIRED: ReceiptState.EXPIRED,
}


def judge(
    told: Facts,
    status: int,
    headers: Mapping[str, str],
    *,
    provider_id: str = "",
    word: str = "",
    family: str = "",
) -> Outcome:
    """The outcome of a send. `word` is the provider's own for what happened, `family` the coarser one it files it
    under, both "" where it told none. The finest word that is mapped decides, then the status, as far as the body
    bears it out: a 2xx without an id settles nothing. An id of an unknown form is taken, and noted."""
    mapped = told.errors.get(word.lower()) or told.families.get(family.lower())
    kind = mapped or _by_status(told, status, provider_id, failed=bool(word or family))
    raw_code = word or family or str(status)
    if kind is OutcomeClass.ACCEPTED and provider_id and not re.fullmatch(told.id_format or ".+", provider_id):
        raw_code = UNFAMILIAR_ID
    return Outcome(
        kind,
        raw_code=raw_code,
        provider_id=provider_id if kind is OutcomeClass.ACCEPTED else "",
        retry_after_ms=reading.retry_after_ms(headers) if kind is OutcomeClass.THROTTLED else 0,
    )


def _by_status(told: Facts, status: int, provider_id: str, *, failed: bool) -> OutcomeClass:
    if not 200 <= status < 300:
        return facts.of_status(told.statuses, status)
    if failed:  # a word nobody mapped: not sent, unless there is an id as well
        return OutcomeClass.AMBIGUOUS if provider_id else OutcomeClass.TEMPORARY
    return OutcomeClass.ACCEPTED if provider_id else facts.of_status(told.statuses, status)


def report(
    told: Facts,
    account: Account,
    *,
    word: str,
    code: str = "",
    client_ref: str = "",
    provider_id: str = "",
    network: str = "",
    at: datetime | None = None,
) -> Receipt:
    """One delivery report. `word` is the provider's state, `code` its reason, which refines a failure by the table
    reasons and the account's own; "0" is no reason. Raises ValueError where state or every reference is missing."""
    if not word or not (client_ref or provider_id):
        raise ValueError("a report must hold a state and a reference")
    known = told.states.get(word.lower())
    receipt = Receipt(
        state=known or ReceiptState.UNKNOWN,
        client_ref=client_ref,
        provider_id=provider_id,
        raw_code=code if code.strip("0") else word,
        network=network,
        provider_time=at,
        unmapped="" if known else word,
    )
    return explained(receipt, told, word=word, code=code, own=reasons.own(account.options, code))


def explained(receipt: Receipt, told: Facts, *, word: str, code: str, own: OutcomeClass | None) -> Receipt:
    """`receipt` with its reason and the state that this makes of it, where it is a failure. `own` is what the account
    says of `code`. A code that nobody knows leaves the class of the word, and is noted, unless the gateway has no codes
    at all: then what it tells are sentences. Total."""
    reason, key = _BY_STATE.get(receipt.state), reasons.key_of(code)
    if not key or receipt.state not in _SAYS_WHY:
        return replace(receipt, reason=reason) if reason else receipt
    known = own or told.reasons.get(key)
    if known:
        return replace(receipt, reason=known, state=_REFINED.get(known, receipt.state))
    return replace(receipt, reason=reason, unmapped=f"{word}/{code}" if told.reasons else "")


def found(status: int, provider_id: str, *, absent: bool, receipt: ReceiptState | None = None) -> Outcome | None:
    """What an answer to a lookup tells: ACCEPTED with the id it holds and how far the message came, None where the
    provider says that it has no such message, else AMBIGUOUS."""
    if provider_id:
        return Outcome(OutcomeClass.ACCEPTED, raw_code=str(status), provider_id=provider_id, receipt=receipt)
    return None if absent else Outcome(OutcomeClass.AMBIGUOUS, raw_code=str(status))


def heard(told: Facts, status: int, headers: Mapping[str, str], *, word: str = "", family: str = "") -> Outcome:
    """What an answer to feedback means: a word that is mapped decides, then the status, and any 2xx took it: nothing
    hangs on it that an id would have to prove."""
    mapped = told.errors.get(word.lower()) or told.families.get(family.lower())
    kind = mapped or (OutcomeClass.ACCEPTED if 200 <= status < 300 else facts.of_status(told.statuses, status))
    wait_ms = reading.retry_after_ms(headers) if kind is OutcomeClass.THROTTLED else 0
    return Outcome(kind, raw_code=word or family or str(status), retry_after_ms=wait_ms)


def traced(
    told: Facts,
    account: Account,
    status: int,
    *,
    provider_id: str,
    word: str = "",
    code: str = "",
    absent: bool = False,
) -> Outcome | None:
    """What an answer about one message tells: ACCEPTED with the id it holds and how far the message came (`word` and
    `code` as in a report; a word that nobody mapped says nothing), None where there is no such message, else
    AMBIGUOUS."""
    if not provider_id:
        return found(status, "", absent=absent)
    if word.lower() not in told.states:
        return Outcome(OutcomeClass.ACCEPTED, raw_code=word or str(status), provider_id=provider_id)
    receipt = report(told, account, word=word, code=code, provider_id=provider_id)
    return Outcome(OutcomeClass.ACCEPTED, raw_code=receipt.raw_code, provider_id=provider_id, receipt=receipt.state)
