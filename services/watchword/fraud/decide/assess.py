"""What becomes of one send request, and what an ending, a check or a receipt is worth knowing for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from msgspec.structs import replace

from watchword.events.code_checked import CodeChecked
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import Reason, RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.events.verification import shared
from watchword.events.verification_assessed import Action, Mode, ModeReason, Shadow, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide import observe
from watchword.fraud.decide.explain import thresholds
from watchword.fraud.decide.money import Purchase
from watchword.fraud.decide.observe import Known
from watchword.fraud.decide.rules import TRIE_RULES, Rule, Rules
from watchword.fraud.decide.score import SCORE_MAX, Claims, Score, features_of, parts_of, score
from watchword.fraud.decide.subject import Subject
from watchword.fraud.decide.trials import Trials
from watchword.kernel.event import Emit, Event
from watchword.kernel.feature import Kind, kind_of
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Dead, Done, Verdict, Write
from watchword.kernel.verification import LIVE, State

Request = VerificationRequested | ResendRequested
SETTLED_WITHIN = timedelta(minutes=1)
_DRAWS = 1 << 32


@dataclass(frozen=True, slots=True)
class Asked:
    """A verification as fraud sees it when it assesses a send, `levels` being those in force now.

    `countries` are the ones the tenant permits; None where the tenant is not known (any more), which refuses nothing.
    `about` are the features that `levels` were looked up by, None for those that follow from the event.
    `purchase` is what the send costs where money is capped: deciding takes it from the purse of the batch, and a trial
    from `trials`, None for no end of them. `candidate` are rules on trial, which score beside the others. `silenced`
    are the kinds of features whose blocks the tenant wants told to nobody. `known` says that the number was verified
    before, not long ago: looked up only where it matters (`matters_who_asks`).
    """

    state: State
    sends_assessed: int
    rules: Rules
    mode: FraudMode = FraudMode.MONITOR
    countries: Collection[str] | None = None
    levels: Mapping[Kind, RiskLevelSet] = field(default_factory=dict)
    purchase: Purchase | None = None
    mode_reason: ModeReason = ModeReason.CONFIGURED
    candidate: Rules | None = None
    trials: Trials | None = None
    about: Subject | None = None
    silenced: frozenset[Kind] = frozenset()
    known: bool = False


def decide(event: Event, facts: Asked | None, now: datetime) -> Verdict:
    """What one request leads to. Total: every well-formed event has a verdict."""
    if not isinstance(event, VerificationRequested | ResendRequested):
        return Done.unchanged()
    if facts is None:
        return Dead("unknown_verification")
    if facts.state not in LIVE or facts.sends_assessed != event.send_no - 1:
        return Done.unchanged()
    return assess(event, facts, now)


def matters_who_asks(event: Request, facts: Asked) -> bool:
    """Whether anything speaks against the request: only then is it asked whether the number is a known user's."""
    return bool(parts_of(_claims(event, facts), facts.levels, facts.rules))


def assess(event: Request, facts: Asked, now: datetime) -> Done:
    """The assessment, and the observations of a send that it lets through while there is time to send."""
    about = facts.about or observe.subject_of(event, event.signals)
    claims = _claims(event, facts)
    parts = parts_of(claims, facts.levels, facts.rules)
    answer = score(parts, facts.rules, about.features, trusted=claims.trusted)
    answer = _tried(answer, event, facts, now)
    identity = str(event.verification_id)
    features = features_of(claims, parts) | (thresholds(facts.rules.points) if parts or facts.purchase else {})
    assessed = _assessed(event, facts, answer, features, now, _shadow(claims, facts))
    money: tuple[Write, ...] = ()
    if now < event.expires_at:
        assessed, money = paid(assessed, facts)
    emits: tuple[Emit, ...] = (Emit(assessed, identity, event.send_no),)
    if now < event.expires_at:
        kind = SignalKind.REFUSED if assessed.action is Action.BLOCK else SignalKind.SENT
        emits += observe.of_send(about, kind, facts.levels, identity, event.send_no, now)
    return Done(writes=(Write("assess", identity, (event.send_no, flagged(assessed)), emits), *money))


def flagged(assessed: VerificationAssessed) -> bool:
    """Whether fraud objects to the send, whatever becomes of it: in monitor mode it is sent, and a block may be let
    through on trial. What becomes of such a code says nothing of the account that carries it. A delay is a doubt."""
    on_trial = any(reason.code == Rule.TRICKLE.value for reason in assessed.reasons)
    return on_trial or assessed.would in (Action.BLOCK, Action.CHALLENGE)


def paid(assessed: VerificationAssessed, facts: Asked) -> tuple[VerificationAssessed, tuple[Write, ...]]:
    """The assessment once its money is held, and what holds it. A send that there is no money left for is refused
    whatever the mode is: a cap is what an operator set, no judgement."""
    purchase = facts.purchase
    if purchase is None or assessed.action not in (Action.ALLOW, Action.DELAY):
        return assessed, ()
    identity, send_no = assessed.verification_id, assessed.send_no
    name, short = f"{identity}/{send_no}", purchase.buy()
    if short is None:
        counters = " ".join(counter.key for counter in purchase.counters)
        row = (identity, send_no, purchase.price_micros, counters, assessed.expires_at + SETTLED_WITHIN)
        return assessed, (Write("reserve", name, row),)
    reasons = (short.reason(facts.rules.points.gate), *assessed.reasons)
    block = Action.BLOCK
    refused = replace(assessed, action=block, would=block, score=SCORE_MAX, reasons=reasons, not_before=None)
    return refused, (Write("count_refused", name, (short.counter.key,)),)


def eased(answer: Score, identity: str, rules: Rules) -> Score:
    """The answer, a few blocks by digits alone turned into trials: without them nobody would learn that it is over.
    Which ones follows from the verification's id."""
    if answer.action is not Action.BLOCK:
        return answer
    by_others = sum(reason.weight for reason in answer.reasons if reason.code not in TRIE_RULES)
    draw = int.from_bytes(blake2b(identity.encode(), digest_size=4).digest(), "big") / _DRAWS
    if by_others >= rules.points.block_at or draw >= rules.trickle:
        return answer
    trial = Reason(code=Rule.TRICKLE.value, value=round(draw, 6), threshold=rules.trickle)
    return Score(answer.value, Action.ALLOW, (*answer.reasons, trial))


def _tried(answer: Score, event: Request, facts: Asked, now: datetime) -> Score:
    """The answer, perhaps turned into a trial, while the tenant has some left this hour."""
    trial = eased(answer, str(event.verification_id), facts.rules)
    if trial is answer or facts.trials is None or facts.trials.take(event.tenant, now):
        return trial
    return answer


def _shadow(claims: Claims, facts: Asked) -> Shadow | None:
    """What the rules on trial make of the same request and the same levels."""
    rules = facts.candidate
    if rules is None:
        return None
    answer = score(parts_of(claims, facts.levels, rules), rules, trusted=claims.trusted)
    return Shadow(ruleset=rules.name, action=answer.action, score=answer.value, reasons=answer.reasons)


def learn(event: Event, facts: Known | None, now: datetime) -> Verdict:
    """What an ending, feedback, a check or a receipt is worth knowing for. A repeat says the same again, and the judge
    drops it by its id."""
    match event:
        case VerificationEnded():
            return Done(_remembered(event), observe.of_ending(event, facts, now))
        case FeedbackGiven():
            return Done(_disowned(event), observe.of_feedback(event, facts, now))
        case CodeChecked() | ReceiptRecorded():
            return Done(emits=observe.of_step(event, now))
        case _:
            return Done.unchanged()


def _remembered(event: VerificationEnded) -> tuple[Write, ...]:
    """The number of a code that was typed in, as verified: from when it was asked for, which no repeat moves."""
    if event.state is not Ending.APPROVED:
        return ()
    row = (event.tenant, event.number_token, event.requested_at)
    return (Write("remember_verified", f"{event.tenant}/{event.number_token}", row),)


def _disowned(event: FeedbackGiven) -> tuple[Write, ...]:
    """A number that was verified, of whose user the platform says that it is none."""
    if event.good or not event.sent:
        return ()
    return (Write("forget_verified", f"{event.tenant}/{event.number_token}", (event.tenant, event.number_token)),)


def _claims(event: Request, facts: Asked) -> Claims:
    return Claims(
        number_type=event.number_type,
        country_permitted=facts.countries is None or event.country in facts.countries,
        trusted=event.signals.trusted or facts.known,
        form_ms=event.signals.form_ms,
        send_no=event.send_no,
        known_networks=bool(event.signals.owner_token),
    )


def _assessed(
    event: Request, facts: Asked, answer: Score, features: dict[str, float], now: datetime, shadow: Shadow | None
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
        mode_reason=facts.mode_reason,
        shadow=shadow,
        silent=action is Action.BLOCK and _is_silent(event, facts, answer),
    )


def _is_silent(event: Request, facts: Asked, answer: Score) -> bool:
    """Whether nobody is told of a block: its weightiest reason is of a kind that the tenant lists, and nobody knows the
    user. A gate and a cap are about no such feature, and always told."""
    weightiest = answer.reasons[0].feature if answer.reasons else ""
    return not (event.signals.trusted or facts.known) and kind_of(weightiest) in facts.silenced
