"""What becomes of one send request, and what an ending is worth knowing for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import RiskLevelSet
from watchword.events.verification import shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide import observe
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.score import Claims, Score, features_of, score
from watchword.kernel.event import Emit, Event
from watchword.kernel.feature import Kind
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Dead, Done, Verdict, Write
from watchword.kernel.verification import LIVE, State

Request = VerificationRequested | ResendRequested


@dataclass(frozen=True, slots=True)
class Asked:
    """A verification as fraud sees it when it assesses a send, `levels` being those in force now.

    `countries` are the ones the tenant permits; None where the tenant is not known (any more), which refuses nothing.
    """

    state: State
    sends_assessed: int
    rules: Rules
    mode: FraudMode = FraudMode.MONITOR
    countries: frozenset[str] | None = None
    levels: Mapping[Kind, RiskLevelSet] = field(default_factory=dict)


def decide(event: Event, facts: Asked | None, now: datetime) -> Verdict:
    """What one request leads to. Total: every well-formed event has a verdict."""
    if not isinstance(event, VerificationRequested | ResendRequested):
        return Done.unchanged()
    if facts is None:
        return Dead("unknown_verification")
    if facts.state not in LIVE or facts.sends_assessed != event.send_no - 1:
        return Done.unchanged()
    return assess(event, facts, now)


def assess(event: Request, facts: Asked, now: datetime) -> Done:
    """The assessment, and the observations of a send that it lets through while there is time to send."""
    names = observe.features_in(event, event.signals)
    features = features_of(_claims(event, facts), facts.levels, facts.rules)
    answer = score(features, facts.rules, names)
    assessed = _assessed(event, facts, answer, features, now)
    subject = str(event.verification_id)
    emits: tuple[Emit, ...] = (Emit(assessed, subject, event.send_no),)
    if assessed.action is not Action.BLOCK and now < event.expires_at:
        emits += observe.of_send(names, event.verification_id, event.send_no, now)
    return Done(writes=(Write("assess", subject, (event.send_no,), emits),))


def learn(event: Event, facts: None, now: datetime) -> Verdict:
    """What an ending is worth knowing for. A repeat says the same again, and the judge drops it by its id."""
    if not isinstance(event, VerificationEnded):
        return Done.unchanged()
    return Done(emits=observe.of_ending(event, now))


def _claims(event: Request, facts: Asked) -> Claims:
    return Claims(
        number_type=event.number_type,
        country_permitted=facts.countries is None or event.country in facts.countries,
        trusted=event.signals.trusted,
        form_ms=event.signals.form_ms,
        send_no=event.send_no,
    )


def _assessed(
    event: Request, facts: Asked, answer: Score, features: dict[str, float], now: datetime
) -> VerificationAssessed:
    enforces = facts.mode is FraudMode.ENFORCE
    action = answer.action if enforces else Action.ALLOW
    delay = timedelta(seconds=facts.rules.delay_s)
    return VerificationAssessed(
        **shared(event),
        send_no=event.send_no,
        action=action,
        mode=Mode.ENFORCE if enforces else Mode.MONITOR,
        score=answer.value,
        ruleset=facts.rules.name,
        would=answer.action,
        not_before=now + delay if action is Action.DELAY else None,
        reasons=answer.reasons,
        features=features,
    )
