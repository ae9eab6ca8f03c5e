"""Who is told of one event, and in which words: built once, the same by every road. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from watchword.callbacks.decide.schedule import gives_up_at
from watchword.events import envelope, topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.code_checked import CodeChecked
from watchword.events.code_issued import CodeIssued
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.verification import Facts, VerificationEvent
from watchword.events.verification_ended import Ending, VerificationEnded, result_of
from watchword.kernel.event import Emit, Event
from watchword.kernel.ids import born_ms
from watchword.kernel.verdict import Dead, Done, Verdict, Write

TELLABLE = (VerificationEnded, CodeIssued, AttemptMade, ReceiptRecorded, CodeChecked)
OLDEST = timedelta(days=7)
RESULTS_TOPIC = ""  # the "endpoint" of a row about a result on a topic: that it was told, or waits to be
RESULT_ORDINAL = 1  # the event itself is 0: a copy on another topic is another event


class TopicState(StrEnum):
    """Whether a tenant's own topic can be written to; `unknown` until the broker has said so or refused."""

    THERE = "there"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An endpoint that wants this event. A disabled one is not called; what it missed can be asked for later."""

    endpoint: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A verification as callbacks may know it."""

    about: Facts
    ending: Ending
    reason: str
    created_at: datetime
    sends_issued: int
    checks_used: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may be told of one event. `standing` is None for a verification that is not there; `own_topic` is the
    tenant's results topic, "" if it has none."""

    event_id: UUID
    told_at: datetime
    standing: Standing | None
    subscribers: tuple[Subscriber, ...] = ()
    own_topic: str = ""
    own_topic_state: TopicState = TopicState.THERE


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as an endpoint gets it (Standard Webhooks). `data` is the event's value, byte for byte as it
    stands on a topic; `type` its ce_type; `timestamp` when it happened."""

    type: str
    timestamp: str
    data: msgspec.Raw


def decide(event: Event, audience: Audience | None, now: datetime) -> Verdict:
    """Who is told. Total: every well-formed event has a verdict, and the same one when it comes again. Where the
    tenant's own topic does not stand, or nobody knows whether it does, the result waits for it (`waited_for`), and
    nothing and nobody else does."""
    if audience is None or not isinstance(event, TELLABLE):
        return Done.unchanged()
    if is_past(event, now):
        return Done.unchanged()
    standing = audience.standing
    if standing is None:
        wanted = audience.subscribers or audience.own_topic
        return Dead("unknown_verification") if wanted else Done.unchanged()
    if standing.about.tenant != event.tenant:
        return Dead("tenant_differs")
    topic = results_topic(event, standing, audience)
    told = outward(event, standing)
    deliveries = tuple(_owed(told, audience, each, now) for each in audience.subscribers)
    return Done(writes=(*deliveries, *_result(told, standing, audience, topic, now)))


def waited_for(event_id: UUID, standing: Standing, topic: str) -> Done:
    """A result that has waited for its tenant's own topic is told there now, if nobody else has."""
    told = _ending(standing)
    row = (told.verification_id, event_id)
    return Done(writes=(Write("tell_result", f"{event_id}/{RESULTS_TOPIC}", row, (_on_topic(told, standing, topic),)),))


def is_past(event: VerificationEvent, now: datetime) -> bool:
    """Whether the verification is so old that nobody waits for it: an old topic read again wakes no endpoint."""
    return now.timestamp() - born_ms(event.verification_id) / 1000 > OLDEST.total_seconds()


def results_topic(event: VerificationEvent, standing: Standing, audience: Audience) -> str:
    """Where the result goes: the tenant's own topic, or otp.results for what came by Kafka, or nowhere ("")."""
    if not isinstance(event, VerificationEnded):
        return ""
    return audience.own_topic or (topics.RESULTS if standing.request_id else "")


def outward(event: VerificationEvent, standing: Standing) -> VerificationEvent:
    """The event as a platform may read it: an ending as `result_of` words it everywhere, the others without what is
    between us and the carriers, or between fraud and itself."""
    match event:
        case VerificationEnded():
            return _ending(standing)
        case CodeIssued():
            return msgspec.structs.replace(event, silent=False)
        case AttemptMade():
            return msgspec.structs.replace(
                event,
                account="",
                gateway="",
                route_reason="",
                client_ref="",
                provider_id="",
                raw_code="",
                price_micros=0,
                currency="",
            )
        case ReceiptRecorded():
            return msgspec.structs.replace(event, account="", provider_id="", raw_code="")
    return event


def notice(told: VerificationEvent, told_at: datetime) -> bytes:
    """The body of a webhook."""
    words = Notice(
        type=envelope.type_of(type(told)),
        timestamp=envelope.instant(told_at),
        data=msgspec.Raw(envelope.encode(told)),
    )
    return msgspec.json.encode(words)


def _owed(told: VerificationEvent, audience: Audience, subscriber: Subscriber, now: datetime) -> Write:
    state = "disabled" if subscriber.disabled else "pending"
    return _row(told, audience, (subscriber.endpoint, state, notice(told, audience.told_at)), now)


def _result(
    told: VerificationEvent, standing: Standing, audience: Audience, topic: str, now: datetime
) -> tuple[Write, ...]:
    """The result on a topic, told once: its row says that it was, or that it is owed."""
    if not topic:
        return ()
    if topic == audience.own_topic and audience.own_topic_state is not TopicState.THERE:
        return (_row(told, audience, (RESULTS_TOPIC, "pending", b""), now),)
    return (_row(told, audience, (RESULTS_TOPIC, "delivered", b""), now, (_on_topic(told, standing, topic),)),)


def _ending(standing: Standing) -> VerificationEnded:
    return result_of(
        standing.about,
        state=standing.ending,
        reason=standing.reason,
        requested_at=standing.created_at,
        sends_used=standing.sends_issued,
        checks_used=standing.checks_used,
    )


def _on_topic(told: VerificationEvent, standing: Standing, topic: str) -> Emit:
    about = standing.about
    subject = str(about.verification_id)
    key = about.reference or subject
    return Emit(told, subject, RESULT_ORDINAL, topic, key=key, counted=False, correlation=standing.request_id)


def _row(
    told: VerificationEvent,
    audience: Audience,
    owed: tuple[str, str, bytes],
    now: datetime,
    emits: tuple[Emit, ...] = (),
) -> Write:
    endpoint, state, body = owed
    columns = (
        told.verification_id,
        audience.event_id,
        endpoint,
        told.tenant,
        type(told).NAME,
        body,
        state,
        audience.told_at,
        now,
        told.expires_at,
        gives_up_at(now, told.expires_at),
    )
    return Write("owe", f"{audience.event_id}/{endpoint}", columns, emits)
