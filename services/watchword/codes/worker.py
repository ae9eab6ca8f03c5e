"""The shell of codes: reads facts, draws and seals codes beforehand, and leaves the rest to `decide` and the loop."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from watchword.codes.decide import CodeFacts, Minted, decide
from watchword.events import topics
from watchword.events.code_issued import CodeIssued
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, Signals
from watchword.events.verification_assessed import VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.document import read_stored
from watchword.kernel.policy import Policy, Resend
from watchword.kernel.secret import Code
from watchword.kernel.template import Wording, render, wording_for
from watchword.kernel.verdict import Done
from watchword.kernel.verification import State
from watchword.runtime import aad
from watchword.runtime.at_once import AtOnce, Seen
from watchword.runtime.configuration import Configuration
from watchword.runtime.incoming import Incoming
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.loop import Loop, Step
from watchword.runtime.postgres import Connection, statements
from watchword.runtime.process import Context
from watchword.runtime.sealing import SealBroken, check_mac, open_sealed, seal
from watchword.runtime.stop import Service

READS = (topics.ASSESSMENTS,)
WRITES = (CodeIssued, SendRequested, VerificationEnded)
KEYS = frozenset({Purpose.PEPPER, Purpose.SENDING, Purpose.HANDOVER})

_SQL = statements("watchword.codes")
_WRITES_IN_LOCK_ORDER = ("issue", "issue_silently", "send_again", "block", "expire", "store_code", "queue_attempt")


class SealedMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What codes seals for dispatch: the text to send, and the code by itself for providers that fill templates. A
    message to India travels with the registration it was written for, whatever is applied meanwhile."""

    text: str
    code: str
    template: str
    dlt_entity_id: str = ""
    dlt_template_id: str = ""
    dlt_header: str = ""
    dlt_text: str = ""


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""

    async def gather(batch: Sequence[Incoming], connection: Connection) -> Mapping[str, CodeFacts]:
        rows = await connection.fetch(_SQL["facts"], [each.key for each in batch])
        read = {str(row["verification_id"]): row for row in rows}
        minter = Minter(context.keyring, context.configuration.current())
        return {each.key: facts_of(read[each.key], each, minter) for each in batch if each.key in read}

    async def look(batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Seen[CodeFacts]]:
        rows = await connection.fetch(_SQL["look"], [each.key for each in batch])
        read = {str(row["verification_id"]): row for row in rows if row["state"] == State.REQUESTED.value}
        minter = Minter(context.keyring, context.configuration.current())
        return {
            each.key: Seen(facts_of(read[each.key], each, minter), read[each.key]["seq"], each.key)
            for each in batch
            if each.key in read
        }

    step = Step(
        worker="codes",
        group="codes",
        reads=READS,
        handles=(VerificationAssessed,),
        gather=gather,
        decide=decide,
        statements={name: _SQL[name] for name in _WRITES_IN_LOCK_ORDER},
        at_once=AtOnce(look, issued_at_once, _SQL["issue_at_once"]),
    )
    return [Loop.of(step, context)]


def issued_at_once(verdict: Done) -> tuple[Any, ...] | None:
    """A first code as the row of `issue_at_once`, None for every other verdict."""
    rows = {write.statement: write for write in verdict.writes}
    if rows.keys() != {"issue", "queue_attempt", "store_code"}:
        return None
    version, send_no = rows["issue"].row
    attempt = rows["queue_attempt"]
    _, mac, pepper_id, sealed = rows["store_code"].row
    return (version, send_no, attempt.key, attempt.row[-1], mac, pepper_id, sealed)


def facts_of(row: asyncpg.Record, incoming: Incoming, minter: "Minter") -> CodeFacts:
    """A verification's row as `decide` sees it, with a code made ready if this event may need one."""
    about = Facts(**{name: row[name] for name in Facts.__struct_fields__})
    rules = read_stored(row["rules"], Policy)
    state = State(row["state"])
    event = incoming.event
    assert isinstance(event, VerificationAssessed)
    needs_code = row["sends_issued"] == 0 or (rules.resend is Resend.ROTATE and event.send_no > 1)
    return CodeFacts(
        about=about,
        state=state,
        created_at=row["created_at"],
        rules=rules,
        sends_issued=row["sends_issued"],
        code_version=row["code_version"],
        checks_used=row["checks_used"],
        signals=msgspec.convert(row["signals"], Signals),
        template=_template_of(row, rules),
        minted=minter.mint(row, rules, row["code_version"] + 1) if needs_code else None,
    )


def _template_of(row: asyncpg.Record, rules: Policy) -> str:
    """The template that was asked for, or else the policy's."""
    return row["template"] or rules.template


class Minter:
    """Makes codes ready: draws one or opens the caller's own, takes its MAC, seals its message for dispatch."""

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        self._keyring = keyring
        self._configuration = configuration

    def mint(self, row: asyncpg.Record, rules: Policy, version: int) -> Minted | None:
        """A code for the verification in `row`, None if its template is gone or the caller's code does not open."""
        template = self._configuration.template(row["tenant"], _template_of(row, rules))
        code = self._code(row, rules)
        if template is None or code is None:
            return None
        wording = wording_for(template, row["locale"], row["country"])
        text = render(template, wording, code, row["binding"], rules.ttl_s)
        message = msgspec.json.encode(_to_seal(text, code, template.id, wording))
        tenant, verification = row["tenant"], row["verification_id"]
        pepper = self._keyring.sealing(Purpose.PEPPER)
        mac = check_mac(
            pepper,
            tenant=tenant,
            verification=verification,
            number_token=row["number_token"],
            purpose=row["purpose"],
            binding_hash=row["binding_hash"],
            code=code,
        )
        sealed = seal(self._keyring.sealing(Purpose.SENDING), message, aad.message(tenant, verification, version))
        return Minted(mac, pepper.id, sealed, len(code.reveal()), template.id, row["locale"], bool(row["own_code"]))

    def _code(self, row: asyncpg.Record, rules: Policy) -> Code | None:
        if row["own_code"] is None:
            return draw(rules.digits)
        keys = self._keyring.opening(Purpose.HANDOVER)
        try:
            own = open_sealed(keys, row["own_code"], aad.own_code(row["tenant"], row["verification_id"]))
        except SealBroken:
            return None
        return Code(own.decode("ascii"))


def _to_seal(text: str, code: Code, template: str, wording: Wording) -> SealedMessage:
    return SealedMessage(
        text=text,
        code=code.reveal(),
        template=template,
        dlt_entity_id=wording.dlt_entity_id,
        dlt_template_id=wording.dlt_template_id,
        dlt_header=wording.dlt_header,
        dlt_text=wording.dlt_text,
    )


def draw(digits: int) -> Code:
    """A code of `digits` digits, every one of the 10^digits equally likely, leading zeros included.

    `secrets.randbelow` rejects instead of folding, so no digit is favoured (ASVS 6.5.3).
    """
    return Code(f"{secrets.randbelow(10**digits):0{digits}d}")
