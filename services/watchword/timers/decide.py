"""What an overdue row is owed. Pure: one function a kind, total for every row the store can find."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchword.events import topics
from watchword.events.attempt_made import AttemptMade, AttemptResult
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.risk_level_set import Reason
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.event import Emit
from watchword.kernel.ids import AttemptId
from watchword.kernel.policy import OnTimeout, Policy
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import ENDED, RECEIPT_RANK, AttemptState, ReceiptState, State

RULESET = "timeout"
ASSESSMENT_LATE = "assessment_late"
TIME_OVER = "time_over"
NO_RECEIPT = "no_receipt"
RIGHT_CODE = "right_code"
LOOK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class DueVerification:
    """A verification whose `due_at` has come. `checks_told` has a bit for each check that was told, the lowest for
    the first; `rules` is None where a newer version wrote what this one cannot read."""

    about: Facts
    state: State
    created_at: datetime
    rules: Policy | None
    signals: Signals
    sends_requested: int
    sends_assessed: int
    sends_issued: int
    checks_used: int
    checks_told: int
    checks_max: int
    overdue_since: datetime


@dataclass(frozen=True, slots=True)
class OverdueAttempt:
    """An attempt whose lease or send deadline has passed. `tried` are the accounts of the send's other tries,
    `left` how many of those may have left us; `template` is the tenant's id of what the text was made from."""

    about: Facts
    attempt_id: AttemptId
    state: AttemptState
    send_no: int
    try_no: int
    code_version: int
    send_deadline: datetime
    recovery: int
    account: str
    gateway: str
    overdue_since: datetime
    first_try_at: datetime | None = None
    tried: tuple[str, ...] = ()
    left: int = 0
    template: str = ""


@dataclass(frozen=True, slots=True)
class UnreportedAttempt:
    """An attempt of which no carrier told the end in time. `receipt_rank` is how much is known of it, `left` how many
    attempts of its verification may have reached the user, itself among them."""

    about: Facts
    verification: State
    attempt_id: AttemptId
    account: str
    provider_id: str
    receipt_rank: int
    left: int
    overdue_since: datetime


def decide_due(facts: DueVerification, now: datetime) -> Done:
    """Past its life a verification expires. Before, an assessment that did not come is replaced by the policy's
    choice; a verification that owes nothing is looked at again when its life ends. One that has ended owes the checks
    that were counted and not told. Where that choice cannot be read it is left for a while to those who can."""
    if facts.state in ENDED:
        return tell_interrupted(facts)
    if now >= facts.about.expires_at:
        return expire(facts)
    look_at = facts.about.expires_at
    if facts.sends_assessed < facts.sends_requested:
        if facts.rules is not None:
            return assume_assessed(facts, facts.rules, now)
        look_at = min(look_at, now + LOOK_AGAIN)
    return Done((Write("look_again", str(facts.about.verification_id), (look_at,)),))


def expire(facts: DueVerification) -> Done:
    """Nobody typed the right code in time."""
    subject = str(facts.about.verification_id)
    ended = VerificationEnded(
        **shared(facts.about),
        state=Ending.EXPIRED,
        reason=TIME_OVER,
        requested_at=facts.created_at,
        sends_used=facts.sends_issued,
        checks_used=facts.checks_used,
        signals=facts.signals,
    )
    return Done((Write("expire", subject, (TIME_OVER,), (Emit(ended, subject),)),))


def tell_interrupted(facts: DueVerification) -> Done:
    """Whoever counted these checks died before the comparison, or is so late that it may not conclude any more: nobody
    knows what was typed. They have the ids that their own events would have had."""
    subject = str(facts.about.verification_id)
    told = tuple(
        Emit(_interrupted(facts, check_no), subject, check_no)
        for check_no in range(1, facts.checks_used + 1)
        if not facts.checks_told & 1 << check_no - 1
    )
    return Done((Write("tell_interrupted", subject, (facts.checks_told,), told),))


def assume_assessed(facts: DueVerification, rules: Policy, now: datetime) -> Done:
    """The assessment that stands in for the one that did not come, for every send that waits. It has the id that
    fraud's own would have had, so that whoever is second tells nothing."""
    subject = str(facts.about.verification_id)
    told = tuple(
        Emit(_assumed(facts, rules, send_no, now), subject, send_no, topic=topics.ASSESSMENTS)
        for send_no in range(facts.sends_assessed + 1, facts.sends_requested + 1)
    )
    row = (facts.sends_assessed, facts.sends_requested, facts.about.expires_at)
    return Done((Write("assume_assessed", subject, row, told),))


def decide_stale(facts: OverdueAttempt, now: datetime) -> Done:
    """A claim whose worker is gone is queued again, one recovery further, and dispatch finds out whether it left: it
    can ask some gateways even when nothing may be sent any more. After the life of the code nobody asks, and it
    stays unknown, never "unsent"."""
    if now >= facts.about.expires_at:
        return give_up(facts, AttemptResult.UNKNOWN, OutcomeClass.AMBIGUOUS.value)
    requested = SendRequested(
        **shared(facts.about),
        attempt_id=facts.attempt_id,
        send_no=facts.send_no,
        try_no=facts.try_no,
        code_version=facts.code_version,
        send_deadline=facts.send_deadline,
        first_try_at=facts.first_try_at,
        tried=facts.tried,
        left=facts.left,
        recovery=facts.recovery + 1,
        template=facts.template,
    )
    attempt, key = str(facts.attempt_id), str(facts.about.verification_id)
    told = Emit(requested, attempt, facts.recovery + 1, key=key)
    return Done((Write("requeue", attempt, (facts.recovery + 1,), (told,)),))


def decide_late(facts: OverdueAttempt, now: datetime) -> Done:
    """An attempt that nobody claimed before its deadline never left, and now it will not. One that was claimed
    before may have."""
    if facts.recovery > 0:
        return give_up(facts, AttemptResult.UNKNOWN, OutcomeClass.AMBIGUOUS.value)
    return give_up(facts, AttemptResult.SKIPPED_LATE, "")


def decide_abandoned(facts: OverdueAttempt, now: datetime) -> Done:
    """An attempt that nobody has claimed, of a verification that has ended: nobody will, so nobody waits for it."""
    return give_up(facts, AttemptResult.SKIPPED_LATE, "")


def decide_unreported(facts: UnreportedAttempt, now: datetime) -> Done:
    """The right code was typed: then its message arrived, if only this one can have carried it, whatever carriers say
    or do not say. Otherwise nobody knows, which is not the same as not delivered."""
    if facts.verification is State.APPROVED and facts.left == 1:
        return _assumed_receipt(facts, ReceiptState.DELIVERED_IMPLIED, RIGHT_CODE)
    return _assumed_receipt(facts, ReceiptState.UNKNOWN, NO_RECEIPT)


def _assumed_receipt(facts: UnreportedAttempt, state: ReceiptState, why: str) -> Done:
    """`state` where it says more than is known of the attempt, else only the end of the wait."""
    attempt, rank = str(facts.attempt_id), RECEIPT_RANK[state]
    if rank <= facts.receipt_rank:
        return Done((Write("await_no_receipt", attempt, ()),))
    recorded = ReceiptRecorded(
        **shared(facts.about),
        attempt_id=facts.attempt_id,
        account=facts.account,
        state=ReceiptWord(state.value),
        provider_id=facts.provider_id,
        raw_code=why,
    )
    told = Emit(recorded, attempt, rank, key=str(facts.about.verification_id))
    return Done((Write("assume_receipt", attempt, (rank, state.value), (told,)),))


def give_up(facts: OverdueAttempt, result: AttemptResult, outcome: str) -> Done:
    """The attempt ends without a gateway's word."""
    made = AttemptMade(
        **shared(facts.about),
        attempt_id=facts.attempt_id,
        send_no=facts.send_no,
        try_no=facts.try_no,
        result=result,
        outcome=outcome,
        account=facts.account,
        gateway=facts.gateway,
        client_ref=str(facts.attempt_id),
    )
    attempt, key = str(facts.attempt_id), str(facts.about.verification_id)
    told = Emit(made, attempt, key=key)
    return Done((Write("give_up", attempt, (facts.state.value, result.value, outcome), (told,)),))


def _interrupted(facts: DueVerification, check_no: int) -> CodeChecked:
    left = max(facts.checks_max - check_no, 0)
    return CodeChecked(**shared(facts.about), result=CheckResult.UNKNOWN, check_no=check_no, checks_left=left)


def _assumed(facts: DueVerification, rules: Policy, send_no: int, now: datetime) -> VerificationAssessed:
    is_open = rules.on_assess_timeout is OnTimeout.OPEN
    late_ms = max((now - facts.overdue_since).total_seconds() * 1_000, 0.0)
    reason = Reason(code=ASSESSMENT_LATE, value=rules.assess_timeout_ms + late_ms, threshold=rules.assess_timeout_ms)
    return VerificationAssessed(
        **shared(facts.about),
        send_no=send_no,
        action=Action.ALLOW if is_open else Action.BLOCK,
        mode=Mode.TIMEOUT_OPEN if is_open else Mode.TIMEOUT_CLOSED,
        score=0,
        ruleset=RULESET,
        would=Action.ALLOW if is_open else Action.BLOCK,
        reasons=(reason,),
    )
