"""What each request of a batch leads to. Pure: requests, locked facts and buckets come in, rulings go out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from watchword.events.resend_requested import ResendRequested
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_refused import VerificationRefused
from watchword.events.verification_requested import VerificationRequested
from watchword.intake.answers import Accepted, Refused, Reply, counted, encoded, next_send
from watchword.intake.feedback import given
from watchword.intake.limits import RATE_LIMITED, Buckets, Limit, Shortage, limits_of
from watchword.intake.request import Cancel, Feedback, Publisher, Repeat, Request, Resend, Start
from watchword.kernel.event import Emit
from watchword.kernel.policy import Policy
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import LIVE, State

ACCEPTED, CARRIED_OUT = 202, 200
KEPT_REFUSAL = 1  # the status under which a refusal of the Kafka door is remembered
CANCELLED = "cancelled_by_platform"
_ENCODER = msgspec.json.Encoder()
IN_BETWEEN = Refused("conflict", retry_after_s=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """A verification as intake finds it, locked. `shown_number` is masked."""

    about: Facts
    state: State
    rules: Policy
    binding_hash: str
    signals: Signals
    sends_requested: int
    sends_assessed: int
    sends_issued: int
    checks_used: int
    created_at: datetime
    next_send_at: datetime
    shown_number: str
    feedback: bool | None = None
    feedback_no: int = 0

    def live(self, now: datetime) -> bool:
        """Whether it may still be approved at `now`, whatever timers have not written down yet."""
        return self.state in LIVE and now < self.about.expires_at


@dataclass(frozen=True, slots=True)
class Stored:
    """What was answered under an idempotency key; `status` 0 if the key is new and held by this batch."""

    fingerprint: bytes = field(repr=False)
    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What the database holds about one request: the newest verification of its number and purpose, or the one it
    names, if it is the tenant's; what is stored under its key, if it has one; and the limits of a send."""

    standing: Standing | None = None
    stored: Stored | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one request leads to. `begun` is the request if a verification begins: its write `begin` still lacks the
    sealed columns, which only the edge can make."""

    reply: Reply
    done: Done = field(default_factory=Done)
    begun: Start | None = None


def limits_for(request: Request, standing: Standing | None) -> tuple[Limit, ...]:
    """The limits that a request may have to pass; the batch locks all of them before it decides."""
    match request:
        case Start(asker=asker, number=number, rules=rules):
            return limits_of(
                asker.tenant,
                rules,
                country=number.country,
                range_=number.range,
                number_token=request.number_token,
                ip_token=request.ip_key,
            )
        case Resend(asker=asker) if standing is not None:
            about = standing.about
            return limits_of(
                asker.tenant,
                standing.rules,
                country=about.country,
                range_=about.range,
                number_token=about.number_token,
            )
    return ()


def decide_all(asked: Sequence[tuple[Request, Found]], buckets: Buckets, now: datetime) -> list[Ruling]:
    """One ruling a request, in order: of those that want the same bucket the first get what it holds.

    Only the first may move a verification: the others were shown it as it was before that.
    """
    rulings: list[Ruling] = []
    moved: set[UUID] = set()
    for request, found in asked:
        named = found.standing.about.verification_id if found.standing is not None else None
        ruling = Ruling(IN_BETWEEN) if named in moved else decide(request, found, buckets, now)
        if named is not None and ruling.done.writes:
            moved.add(named)
        rulings.append(remembered(request, found, ruling))
    return rulings


def decide(request: Request, found: Found, buckets: Buckets, now: datetime) -> Ruling:
    """What one request leads to. Total."""
    if found.stored is not None and found.stored.status:
        return repeated(request, found.stored)
    match request:
        case Start():
            return start(request, found, buckets, now)
        case Resend():
            return resend(request, found, buckets, now)
        case Cancel():
            return cancel(found.standing, now)
        case Feedback(good=good):
            return Ruling(*given(good, found.standing))


def repeated(request: Request, stored: Stored) -> Ruling:
    """The answer that was given before, if it is the same request."""
    repeat = request.asker.repeat
    if repeat is None or repeat.fingerprint != stored.fingerprint:
        return Ruling(Refused("idempotency_mismatch"))
    return Ruling(Accepted(stored.status, stored.body, replayed=True))


def start(request: Start, found: Found, buckets: Buckets, now: datetime) -> Ruling:
    """Begin a verification, or send the live one again: a number has one per tenant and purpose."""
    standing, refused = found.standing, refused_at_sight(request, now)
    if refused is not None:
        return Ruling(refused)
    if standing is None or not standing.live(now):
        return begin(request, found.limits, buckets, now)
    if standing.binding_hash != request.binding_hash or request.own_code is not None:
        return Ruling(_other_is_live(standing, now))
    return send_again(standing, request.asker.api_key, found.limits, buckets, now)


def refused_at_sight(request: Start, now: datetime) -> Refused | None:
    """The refusal of a start that nothing in the database would change."""
    published = request.asker.publisher
    if published is not None and published.expires_at is not None and now >= published.expires_at:
        return Refused("expired", "The record's ce_expirytime had passed.")
    return Refused("blocked") if request.blocked else None


def begin(request: Start, limits: Sequence[Limit], buckets: Buckets, now: datetime) -> Ruling:
    """A new verification, if every limit has room."""
    short = buckets.take(limits)
    if short is not None:
        return Ruling(_short(short, buckets))
    body, write = beginning(request, now)
    return Ruling(Accepted(ACCEPTED, body, room=buckets.room(limits[0])), Done((write,)), begun=request)


def beginning(request: Start, now: datetime) -> tuple[bytes, Write]:
    """What is told of a verification that begins, and its row but for the sealed columns, with its first event."""
    rules, number, subject = request.rules, request.number, str(request.verification_id)
    expires_at = now + timedelta(seconds=rules.ttl_s)
    next_send_at = next_send(rules, 1, now, created_at=now, expires_at=expires_at)
    requested = VerificationRequested(
        verification_id=request.verification_id,
        tenant=request.asker.tenant.id,
        number_token=request.number_token,
        country=number.country,
        range=number.range,
        purpose=request.purpose,
        channel=request.channel,
        policy=rules.id,
        policy_version=request.policy_version,
        expires_at=expires_at,
        number_type=number.number_type,
        reference=request.reference,
        locale=request.locale,
        template=request.template,
        binding_hash=request.binding_hash,
        own_code=request.own_code is not None,
        signals=request.signals,
        asked_by=request.asker.api_key,
    )
    told = counted(
        subject,
        State.REQUESTED,
        rules,
        shown_number=number.e164.masked(),
        expires_at=expires_at,
        next_send_at=next_send_at,
        sends_requested=1,
        checks_used=0,
    )
    row = (
        requested.tenant,
        requested.number_token,
        requested.country,
        requested.range,
        requested.number_type,
        requested.purpose,
        requested.channel,
        requested.policy,
        requested.policy_version,
        _json(rules),
        request.locale,
        request.template,
        requested.reference,
        _json(dict(request.binding)),
        request.binding_hash,
        _json(request.signals),
        rules.checks_max,
        now,
        expires_at,
        next_send_at,
        request.asker.publisher.request_id if request.asker.publisher is not None else "",
        _due_at(rules, now, expires_at),
    )
    return encoded(told), Write("begin", subject, row, (Emit(requested, subject),))


def resend(request: Resend, found: Found, buckets: Buckets, now: datetime) -> Ruling:
    """Send the code of a named verification again, under the resend rules."""
    if found.standing is None:
        return Ruling(Refused("not_found"))
    if not found.standing.live(now):
        return Ruling(Refused("ended"))
    return send_again(found.standing, request.asker.api_key, found.limits, buckets, now)


def send_again(standing: Standing, api_key: str, limits: Sequence[Limit], buckets: Buckets, now: datetime) -> Ruling:
    """One more send of a live verification, if its policy, its gap and every limit allow it."""
    rules, about = standing.rules, standing.about
    if standing.sends_requested >= rules.sends_max:
        return Ruling(_not_yet("sends_exhausted", standing, about.expires_at, now))
    if now < standing.next_send_at:
        return Ruling(_not_yet("cooldown", standing, standing.next_send_at, now))
    short = buckets.take(limits)
    if short is not None:
        return Ruling(_short(short, buckets))
    send_no = standing.sends_requested + 1
    next_send_at = next_send(rules, send_no, now, created_at=standing.created_at, expires_at=about.expires_at)
    subject = str(about.verification_id)
    requested = ResendRequested(**shared(about), send_no=send_no, signals=standing.signals, asked_by=api_key)
    row = (send_no, next_send_at, _due_at(rules, now, about.expires_at))
    write = Write("resend", subject, row, (Emit(requested, subject, send_no),))
    body = encoded(_as_told(standing, standing.state, send_no, next_send_at))
    return Ruling(Accepted(ACCEPTED, body, room=buckets.room(limits[0])), Done(writes=(write,)))


def cancel(standing: Standing | None, now: datetime) -> Ruling:
    """End a live verification because the platform says so."""
    if standing is None:
        return Ruling(Refused("not_found"))
    if not standing.live(now):
        return Ruling(Refused("ended"))
    subject = str(standing.about.verification_id)
    ended = VerificationEnded(
        **shared(standing.about),
        state=Ending.CANCELLED,
        reason=CANCELLED,
        requested_at=standing.created_at,
        sends_used=standing.sends_assessed,
        checks_used=standing.checks_used,
        signals=standing.signals,
    )
    write = Write("cancel", subject, (CANCELLED,), (Emit(ended, subject),))
    told = _as_told(standing, State.CANCELLED, standing.sends_requested, standing.next_send_at)
    return Ruling(Accepted(CARRIED_OUT, encoded(told)), Done(writes=(write,)))


def remembered(request: Request, found: Found, ruling: Ruling) -> Ruling:
    """The ruling with what is kept under the request's key, and the result that a publisher is told."""
    asker, reply = request.asker, ruling.reply
    keeps_none = reply is IN_BETWEEN  # nothing was decided: the same request comes again
    writes, emits = ruling.done.writes, ruling.done.emits
    if asker.repeat is not None and found.stored is not None and not found.stored.status:
        writes += (_kept(asker.tenant.id, asker.repeat, None if keeps_none else reply),)
    if asker.publisher is not None and isinstance(reply, Refused) and not keeps_none:
        emits += (refusal(asker.publisher, reply, asker.tenant.id),)
    return Ruling(reply, Done(writes, emits), ruling.begun)


def refusal(publisher: Publisher, reply: Refused, tenant: str = "") -> Emit:
    """The result that tells a publisher what HTTP would answer with a problem. The record's place names the fact, so
    that reading the record again tells nothing new."""
    refused = VerificationRefused(
        request_id=publisher.request_id,
        code=reply.code,
        tenant=tenant,
        detail=reply.detail,
        reference=publisher.reference,
        retry_after_s=reply.retry_after_s,
    )
    key = publisher.reference or publisher.request_id
    return Emit(refused, publisher.position, key=key, counted=False)


def _kept(tenant: str, repeat: Repeat, reply: Reply | None) -> Write:
    name = f"{tenant}/{repeat.key}"
    match reply:
        case Accepted(status=status, body=body):
            return Write("keep_answer", name, (tenant, repeat.key, status, body))
        case Refused(code=code) if repeat.keeps_refusals:
            return Write("keep_answer", name, (tenant, repeat.key, KEPT_REFUSAL, code.encode()))
    return Write("forget_key", name, (tenant, repeat.key))


def _due_at(rules: Policy, now: datetime, expires_at: datetime) -> datetime:
    return min(now + timedelta(milliseconds=rules.assess_timeout_ms), expires_at)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def _as_told(standing: Standing, state: State, sends_requested: int, next_send_at: datetime) -> msgspec.Struct:
    return counted(
        str(standing.about.verification_id),
        state,
        standing.rules,
        shown_number=standing.shown_number,
        expires_at=standing.about.expires_at,
        next_send_at=next_send_at,
        sends_requested=sends_requested,
        checks_used=standing.checks_used,
    )


def _not_yet(code: str, standing: Standing, at: datetime, now: datetime) -> Refused:
    told = _as_told(standing, standing.state, standing.sends_requested, at)
    members = {name: getattr(told, name) for name in ("id", "next_send_at", "expires_at", "sends_left", "checks_left")}
    return Refused(code, retry_after_s=_seconds_until(at, now), members=members)


def _other_is_live(standing: Standing, now: datetime) -> Refused:
    return Refused(
        "verification_live",
        "The live verification of this number and purpose has another binding or code; cancel it first.",
        retry_after_s=_seconds_until(standing.about.expires_at, now),
        members={"id": str(standing.about.verification_id)},
    )


def _short(short: Shortage, buckets: Buckets) -> Refused:
    limit = short.limit
    return Refused(
        limit.code,
        retry_after_s=short.retry_after_s,
        members={"limit": limit.name},
        room=buckets.room(limit) if limit.code == RATE_LIMITED else None,
    )


def _seconds_until(at: datetime, now: datetime) -> int:
    return max(1, -int((now - at).total_seconds() // 1))
