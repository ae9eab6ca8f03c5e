"""From a record on otp.inbox to a request: CloudEvents in binary or structured mode, held to the published schema.

What is refused here is refused for what it is, not for what the database holds. Nothing that is told of it quotes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from watchword.contracts.inbox import Flaw, header_flaws, value_flaws
from watchword.events import catalog
from watchword.events import envelope as envelopes
from watchword.events.envelope import Envelope
from watchword.events.verification_submitted import VerificationSubmitted
from watchword.intake.answers import Refused
from watchword.intake.bodies import StartBody
from watchword.intake.decide import refusal
from watchword.intake.desk import Letters
from watchword.intake.request import Asker, Publisher, Repeat, Start
from watchword.intake.understanding import Understanding
from watchword.kernel.phone import TEXT_MAX
from watchword.runtime import acting, inbox_seal, outbox
from watchword.runtime.acting import Cause, Told
from watchword.runtime.configuration import Configuration
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.problems import Problem
from watchword.runtime.sealing import SealBroken
from watchword.runtime.strict_json import decode, field_error

STRUCTURED = b"application/cloudevents+json"
CODE_IN_CLEAR = "code_in_clear"
_WORDS = {
    "empty": "empty_body",
    "too_large": "body_too_large",
    "not_json": "malformed_json",
    "not_utf8": "malformed_json",
    "duplicate_key": "malformed_json",
    "too_deep": "malformed_json",
    CODE_IN_CLEAR: "code_refused",
}
# Refusals of the platform's request, not of the record: a result says so, and there is nothing to redrive.
_WELL_FORMED = frozenset({"number_type_refused", "country_not_permitted"})


@dataclass(frozen=True, slots=True)
class Submission:
    """One record as it lay. `topic` is the plain name; `headers` hold no empty ones."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def position(self) -> str:
        """Where it lay, as topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Structured(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent in structured mode; extensions that are not named here are ignored."""

    specversion: str
    id: str
    source: str
    type: str
    data: msgspec.Raw
    time: str = ""
    subject: str = ""
    expirytime: str = ""
    traceparent: str = ""


class _Unfit(Exception):
    """The record is not a request. `withheld` if it is known to hold a code, which may lie in no dead topic."""

    def __init__(self, code: str, detail: str = "", *, withheld: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.withheld = withheld


class Submissions:
    """Reads records of the Kafka door."""

    def __init__(self, understanding: Understanding, keyring: Keyring) -> None:
        self._understanding = understanding
        self._keyring = keyring

    def read(self, submission: Submission, configuration: Configuration, now: datetime) -> Start | Letters:
        """The start that a record asks for, or the rows that tell why it is none."""
        publisher = Publisher(_readable_id(submission), "", submission.position)
        tenant = ""
        try:
            told, value = opened(submission)
            publisher = Publisher(told.id, "", submission.position, told.expires_at)
            body = self._unsealed(told, body_of(told, value))
            publisher = Publisher(told.id, body.reference, submission.position, told.expires_at)
            asker = self._asker(told, body, publisher, configuration)
            tenant = asker.tenant.id
            return self._understanding.start(body, asker, configuration, now)
        except _Unfit as unfit:
            refused = Refused(unfit.code, unfit.detail)
            letter = dead_letter(submission, refused, withheld=unfit.withheld)
            return Letters((_result(publisher, refused, tenant, now), letter))
        except Problem as problem:
            refused = Refused(problem.code, problem.detail or problem.kind.remedy)
            results = (_result(publisher, refused, tenant, now),)
            if problem.code in _WELL_FORMED:
                return Letters(results)
            return Letters((*results, dead_letter(submission, refused)))

    def buried(self, submission: Submission, now: datetime) -> Letters:
        """The rows for a record that is fit and yet cannot be carried out: a defect of ours."""
        refused = Refused("internal", "The request could not be carried out.")
        publisher = Publisher(_readable_id(submission), "", submission.position)
        return Letters((_result(publisher, refused, "", now), dead_letter(submission, refused)))

    def _unsealed(self, told: Envelope, body: StartBody) -> StartBody:
        """The body with its number in clear. What is longer than any number is a sealed one. Raises _Unfit."""
        if len(body.to) <= TEXT_MAX:
            return body
        try:
            number = inbox_seal.opened(self._keyring.opening(Purpose.INBOX), body.to, told.source)
        except SealBroken as broken:
            raise _Unfit("number_invalid", f"/to: {broken}") from None
        return msgspec.structs.replace(body, to=number)

    def _asker(self, told: Envelope, body: StartBody, publisher: Publisher, configuration: Configuration) -> Asker:
        tenant = configuration.tenant_of_source(told.source)
        if tenant is None:
            raise _Unfit("unauthenticated", "No tenant publishes under this ce_source.")
        name = self._understanding.fingerprint("published", told.source, told.id)
        repeat = Repeat(f"inbox:{name.hex()}", self._understanding.fingerprint(body), keeps_refusals=True)
        return Asker(tenant, repeat, publisher, told.traceparent)


def opened(submission: Submission) -> tuple[Envelope, bytes | None]:
    """The attributes and the value of a record, whichever mode it is in. Raises _Unfit."""
    value = submission.value
    headers: Sequence[tuple[str, bytes]] = submission.headers
    if dict(headers).get("content-type", b"").lower().startswith(STRUCTURED):
        headers, value = _unwrapped(value)
    flaws = header_flaws(headers)
    if flaws:
        raise _Unfit("malformed_header", _sentence(flaws))
    try:
        return envelopes.read(headers), value
    except ValueError as error:
        raise _Unfit("malformed_header", str(error)) from None


def body_of(told: Envelope, value: bytes | None) -> StartBody:
    """What is asked for, held to the published schema and then to what the HTTP door accepts. Raises _Unfit."""
    major = _major(told.type)
    flaws = value_flaws(value, VerificationSubmitted.NAME, major)
    if flaws:
        worst = next((flaw for flaw in flaws if flaw.rule == CODE_IN_CLEAR), flaws[0])
        code = _WORDS.get(worst.rule, "malformed_body")
        raise _Unfit(code, _sentence(flaws), withheld=worst.rule == CODE_IN_CLEAR)
    try:
        return msgspec.convert(msgspec.to_builtins(catalog.decode(told.type, value)), StartBody)
    except catalog.UnreadableEvent as error:
        raise _Unfit("malformed_body", str(error)) from None
    except msgspec.ValidationError as error:
        fault = field_error(str(error))
        raise _Unfit("malformed_body", f"{fault.pointer}: {fault.detail}") from None


def dead_letter(submission: Submission, refused: Refused, *, withheld: bool = False) -> OutboxRow:
    """The record, untouched, and why. A value that holds a code in clear is left out: codes are kept nowhere."""
    return outbox.dead_row(
        submission.topic,
        (submission.partition, submission.offset),
        submission.key,
        None if withheld or _holds_code(submission.value) else submission.value,
        submission.headers,
        (refused.code, refused.detail),
    )


def _major(wire_type: str) -> int:
    """The major version of verification-submitted that `wire_type` names. Raises _Unfit for any other type."""
    try:
        known, major = catalog.event_class(wire_type)
    except catalog.UnreadableEvent as error:
        raise _Unfit("malformed_header", f"/ce_type: {error}") from None
    if known is not VerificationSubmitted:
        raise _Unfit("malformed_header", "/ce_type: this door reads verification-submitted alone")
    return major


def _unwrapped(value: bytes | None) -> tuple[list[tuple[str, bytes]], bytes]:
    try:
        event = decode(value or b"", Structured)
    except Problem as problem:
        faults = "; ".join(f"{error.pointer}: {error.detail}" for error in problem.errors)
        raise _Unfit(problem.code, faults or problem.detail) from None
    attributes = msgspec.structs.asdict(event)
    data = bytes(attributes.pop("data"))
    trace = attributes.pop("traceparent")
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items() if text]
    return [*headers, *([("traceparent", trace.encode())] if trace else [])], data


def _holds_code(value: bytes | None) -> bool:
    """Whether something in the value, readable or not, is called a code."""
    return any(mark in (value or b"") for mark in (b'"code"', b'"otp"'))


def _readable_id(submission: Submission) -> str:
    """The ce_id of a binary record if it can be told, else ""."""
    raw = dict(submission.headers).get("ce_id", b"")
    text = raw.decode("utf-8", "replace")
    return text if text.isprintable() and len(text) <= 256 else ""


def _sentence(flaws: Iterable[Flaw]) -> str:
    return "; ".join(f"{flaw.pointer or 'value'}: {flaw.rule}" for flaw in flaws)


def _result(publisher: Publisher, refused: Refused, tenant: str, now: datetime) -> OutboxRow:
    cause = Cause(publisher.request_id, publisher.request_id)
    return acting.outbox_row(Told(refusal(publisher, refused, tenant), 0, cause), "intake", now)
