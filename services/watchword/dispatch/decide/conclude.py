"""What an attempt came to and what follows from it. Pure; the rows and events of each ending are in `tell`."""

from datetime import datetime, timedelta

from watchword.dispatch.decide.facts import (
    LEFT_MAX,
    RECOVERIES_MAX,
    TRIES_MAX,
    UNKNOWN_WAIT,
    WINDOW,
    Attempt,
    Called,
    Came,
    Choice,
    Health,
    Nobody,
    Reason,
    Routing,
    Skipped,
    left_of,
)
from watchword.dispatch.decide.hedge import hedge_at
from watchword.dispatch.decide.plan import plan
from watchword.dispatch.decide.postpone import tier_after
from watchword.dispatch.decide.tell import Conclusion, ended, followed, queued, taken_up_again
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import AttemptState

# Why the verification failed, where nothing else can have left.
_REASONS = {
    OutcomeClass.DESTINATION: "destination_rejected",
    OutcomeClass.BLOCKED: "blocked_by_carrier",
    OutcomeClass.EXPIRED: "too_late",
    OutcomeClass.ACCOUNT: "accounts_refused",
    OutcomeClass.CONFIGURATION: "accounts_refused",
    OutcomeClass.THROTTLED: "accounts_away",
    OutcomeClass.TEMPORARY: "accounts_away",
}
_FINAL = frozenset({OutcomeClass.DESTINATION, OutcomeClass.BLOCKED, OutcomeClass.EXPIRED})


def conclude(attempt: Attempt, came: Came, routing: Routing, now: datetime) -> Conclusion:
    """What becomes of an attempt and its send. Total: every `came` has a conclusion (delivery.md, section 0)."""
    match came:
        case Skipped():
            ends = came.word if came.word == "too_late" else ""
            return ended(attempt, AttemptState.SKIPPED_LATE, came, ends)
        case Nobody():
            return _gone_on(attempt, came, routing, now)
        case Called():
            return _answered(attempt, came, routing, now)


def _answered(attempt: Attempt, called: Called, routing: Routing, now: datetime) -> Conclusion:
    kind = called.outcome.kind
    if kind is OutcomeClass.ACCEPTED:
        return ended(attempt, AttemptState.ACCEPTED, called, "", hedge_at(attempt, routing, now))
    if kind in _FINAL:
        return ended(attempt, AttemptState.REJECTED, called, _REASONS[kind])
    if called.ends and not attempt.called_before:
        return ended(attempt, AttemptState.REJECTED, called, called.ends)
    # A gateway that is too busy to take a repeat has not said what became of the first call.
    if kind is OutcomeClass.AMBIGUOUS or attempt.called_before:
        return _doubted(attempt, called, routing, now)
    return _gone_on(attempt, called, routing, now)


def _gone_on(attempt: Attempt, came: Called | Nobody, routing: Routing, now: datetime) -> Conclusion:
    """Nothing was sent: another account at once, a retry in a while, or the end of the send. A hedge is not tried
    again: what it stands beside was accepted."""
    if attempt.hedges:
        return ended(attempt, AttemptState.REJECTED, came, "")
    outcome = came.outcome if isinstance(came, Called) else None
    this = attempt.as_try(AttemptState.DEFERRED, outcome.kind if outcome else "")
    # An attempt for which nobody was called has used no account.
    tries = (*attempt.tries, this) if outcome else attempt.tries
    choice = plan(attempt.send_no, tries, routing)
    wait_s = tier_after(attempt.tier_s, (outcome.retry_after_ms if outcome else 0) / 1000)
    if _may_follow(attempt, now, left=left_of(attempt.tries)):
        if outcome and isinstance(choice, Choice) and choice.reason is not Reason.RETRY:
            return followed(attempt, came, choice, this)
        due = now + timedelta(seconds=wait_s)
        if not _hopeless(came, choice) and due < attempt.send_deadline and _in_window(attempt, due):
            return queued(attempt, AttemptState.DEFERRED, came, due, now)
    return ended(attempt, AttemptState.REJECTED, came, _why(came, choice))


def _in_window(attempt: Attempt, due: datetime) -> bool:
    """Whether a retry then is not too late for whoever waits. A lease that ran out and the doubt that followed took
    most of the window without anybody being called: then tries and deadline are bounds enough."""
    return due <= attempt.first_try_at + WINDOW or left_of(attempt.tries) > 0


def _hopeless(came: Called | Nobody, choice: Choice | Nobody) -> bool:
    return any(isinstance(each, Nobody) and each.hopeless for each in (came, choice))


def _why(came: Called | Nobody, choice: Choice | Nobody) -> str:
    if isinstance(came, Nobody):
        return came.word
    return choice.word if isinstance(choice, Nobody) and choice.hopeless else _REASONS[came.outcome.kind]


def _doubted(attempt: Attempt, called: Called, routing: Routing, now: datetime) -> Conclusion:
    """Nobody knows whether it left. Where the gateway can tell it is taken up again; else it stays unknown, and
    the same code goes out once more after a while, if the account says so. A gateway that cannot be asked for as long
    as its account is away keeps nobody waiting whom another account could serve (decision 0060)."""
    doubt = Called(Outcome(OutcomeClass.AMBIGUOUS, called.outcome.raw_code), called.latency_ms, called.size)
    repeated_at = _repeated_at(attempt, now)
    resolved_at = _resolved_at(attempt, now)
    if resolved_at is not None and (repeated_at is None or not _left_to_another(attempt, routing)):
        return taken_up_again(attempt, resolved_at, now)
    if repeated_at is not None:
        return queued(attempt, AttemptState.UNKNOWN, doubt, repeated_at, now)
    return ended(attempt, AttemptState.UNKNOWN, doubt, "")


def _repeated_at(attempt: Attempt, now: datetime) -> datetime | None:
    """When the same code goes out once more; None if it may not."""
    due = now + UNKNOWN_WAIT
    resends = attempt.account is not None and attempt.account.on_unknown == "resend"
    may = resends and due < attempt.send_deadline and _may_follow(attempt, now, left=left_of(attempt.tries) + 1)
    return due if may else None


def _left_to_another(attempt: Attempt, routing: Routing) -> bool:
    """Whether the account of the attempt cannot be called, and another one that this send has not used can."""
    own = attempt.account.id if attempt.account is not None else ""
    used = {own, *(each.account for each in attempt.tries)}
    others = (each.id for each in routing.accounts if each.id not in used and each.id not in routing.barred)
    return routing.health.get(own) is Health.AWAY and any(
        routing.health.get(other, Health.AWAY) is not Health.AWAY for other in others
    )


def _resolved_at(attempt: Attempt, now: datetime) -> datetime | None:
    """When the gateway is called or asked again about this attempt; None where that can tell nothing more, or the
    user has waited long enough for one gateway to answer."""
    due = now + timedelta(seconds=tier_after(attempt.tier_s))
    tired = attempt.recovery > 0 and due > attempt.first_try_at + WINDOW
    if tired or attempt.recovery >= RECOVERIES_MAX or attempt.account is None:
        return None
    if attempt.abilities.can_be_asked:
        return due if due < attempt.about.expires_at else None
    return due if attempt.abilities.dedupes and attempt.live and due < attempt.send_deadline else None


def _may_follow(attempt: Attempt, now: datetime, *, left: int) -> bool:
    """Whether the send may have another try, `left` tries of it having perhaps reached the user."""
    return attempt.live and attempt.try_no < TRIES_MAX and left < LEFT_MAX and now < attempt.send_deadline
