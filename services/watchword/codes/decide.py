"""What one assessment leads to. Pure: facts and a code drawn beforehand come in, a verdict goes out."""

from datetime import datetime

import msgspec

from watchword.events.code_issued import CodeIssued
from watchword.events.risk_level_set import Reason
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.deadline import send_deadline
from watchword.kernel.event import Emit, Event
from watchword.kernel.ids import attempt_id
from watchword.kernel.policy import Policy, Resend
from watchword.kernel.verdict import Dead, Done, Verdict, Write
from watchword.kernel.verification import LIVE, State

CHALLENGE = "challenge"


class Minted(msgspec.Struct, frozen=True):
    """A code made ready to be stored: its MAC for checks and its message sealed for dispatch, never the code."""

    mac: bytes
    pepper_id: str
    sealed: bytes
    digits: int
    template: str
    locale: str
    own: bool

    def __repr__(self) -> str:
        return "<Minted>"


class CodeFacts(msgspec.Struct, frozen=True):
    """A verification as codes sees it. `template` is what its text is made from. `minted` is a code drawn for this
    event; it becomes the code only if the decision issues one, and is None where the live one is sent again or no code
    can be made."""

    about: Facts
    state: State
    created_at: datetime
    rules: Policy
    sends_issued: int
    code_version: int
    checks_used: int
    signals: Signals
    template: str = ""
    minted: Minted | None = None


def decide(event: Event, facts: CodeFacts | None, now: datetime) -> Verdict:
    """What one assessment leads to. Total: every well-formed event has a verdict."""
    if not isinstance(event, VerificationAssessed):
        return Done.unchanged()
    if facts is None:
        return Dead("unknown_verification")
    if facts.state not in LIVE or event.send_no <= facts.sends_issued:
        return Done.unchanged()
    if now >= facts.about.expires_at:
        return end(event, facts, Ending.EXPIRED, "expired_before_send")
    match event.action:
        case Action.BLOCK | Action.CHALLENGE:
            return refuse(event, facts)
        case Action.ALLOW | Action.DELAY | Action.UNKNOWN:
            return send(event, facts)


def refuse(event: VerificationAssessed, facts: CodeFacts) -> Verdict:
    """A blocked first send ends the verification, unless nobody is to notice; a blocked resend only sends nothing, for
    the code that is out may still be typed. The reason `challenge` asks the platform to make sure of its user by other
    means, and to start anew with `signals.trusted`."""
    if facts.state is State.ISSUED:
        return Done.unchanged()
    if event.silent:
        return keep_silent(event, facts)
    word = event.reasons[0].code if event.reasons else "blocked"
    return end(event, facts, Ending.BLOCKED, CHALLENGE if event.action is Action.CHALLENGE else word, event.reasons)


def keep_silent(event: VerificationAssessed, facts: CodeFacts) -> Verdict:
    """The verification goes on as if a code had been sent: none was drawn, no attempt is made, and what is typed is
    wrong, for an empty MAC is never equal. A later send that passes draws a code then."""
    if facts.minted is None:
        return Dead("no_code_could_be_made", "the template or the caller's sealed code is missing")
    subject, version = str(facts.about.verification_id), facts.code_version + 1
    told = _issued(event, facts, facts.minted, version, silent=True)
    nothing = Write("store_code", subject, (version, b"", "", b""))
    return Done(writes=(Write("issue_silently", subject, (version,), (told,)), nothing))


def send(event: VerificationAssessed, facts: CodeFacts) -> Verdict:
    """Issue the first code, or send again what a resend asks for."""
    first = facts.state is State.REQUESTED
    rotates = facts.rules.resend is Resend.ROTATE and event.send_no > 1
    if facts.sends_issued > 0 and not rotates:
        return Done(writes=_sending(event, facts, "send_again", facts.code_version, issued=()))
    if facts.minted is None:
        return Dead("no_code_could_be_made", "the template or the caller's sealed code is missing")
    version = facts.code_version + 1
    statement = "issue" if first else "send_again"
    code = Write(
        "store_code",
        str(facts.about.verification_id),
        (version, facts.minted.mac, facts.minted.pepper_id, facts.minted.sealed),
    )
    issued = (_issued(event, facts, facts.minted, version),)
    return Done(writes=(*_sending(event, facts, statement, version, issued=issued), code))


def end(
    event: VerificationAssessed,
    facts: CodeFacts,
    ending: Ending,
    reason: str,
    reasons: tuple[Reason, ...] = (),
) -> Done:
    """The verification ends here, for `reason`."""
    subject = str(facts.about.verification_id)
    ended = VerificationEnded(
        **shared(facts.about),
        state=ending,
        reason=reason,
        reasons=reasons,
        requested_at=facts.created_at,
        sends_used=event.send_no - 1,
        checks_used=facts.checks_used,
        signals=facts.signals,
    )
    statement = "block" if ending is Ending.BLOCKED else "expire"
    return Done(writes=(Write(statement, subject, (reason,), (Emit(ended, subject),)),))


def _sending(
    event: VerificationAssessed, facts: CodeFacts, statement: str, version: int, *, issued: tuple[Emit, ...]
) -> tuple[Write, ...]:
    """The verification's move with its events, and the first attempt of the send."""
    verification = facts.about.verification_id
    attempt = attempt_id(verification, event.send_no, 1)
    until = send_deadline(facts.created_at, facts.about.expires_at)
    requested = SendRequested(
        **shared(facts.about),
        attempt_id=attempt,
        send_no=event.send_no,
        try_no=1,
        code_version=version,
        send_deadline=until,
        not_before=event.not_before,
        template=facts.template,
    )
    subject, identity = str(verification), str(attempt)
    return (
        Write(statement, subject, (version, event.send_no), (*issued, Emit(requested, identity, key=subject))),
        Write("queue_attempt", identity, (verification, event.send_no, version, until)),
    )


def _issued(
    event: VerificationAssessed, facts: CodeFacts, minted: Minted, version: int, *, silent: bool = False
) -> Emit:
    issued = CodeIssued(
        **shared(facts.about),
        code_version=version,
        send_no=event.send_no,
        digits=minted.digits,
        template=minted.template,
        locale=minted.locale,
        own=minted.own,
        silent=silent,
    )
    return Emit(issued, str(facts.about.verification_id), version)
