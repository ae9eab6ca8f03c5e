"""How the end of an attempt is written down and told: its rows and events, as values."""

from datetime import datetime
from uuid import UUID

import msgspec

from watchword.dispatch.decide.facts import Attempt, Called, Came, Choice, Try, left_of
from watchword.dispatch.decide.feedback import first_look_at
from watchword.dispatch.decide.postpone import topic_for
from watchword.events.attempt_made import AttemptMade, AttemptResult
from watchword.events.send_requested import SendRequested
from watchword.events.verification import shared
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.deadline import receipt_deadline
from watchword.kernel.event import Emit
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import MAY_HAVE_LEFT, AttemptState


class Follow(msgspec.Struct, frozen=True):
    """The try that takes over at once: it is claimed for us in the transaction that concludes the one before."""

    id: UUID
    choice: Choice
    concluded: Try


class Conclusion(msgspec.Struct, frozen=True):
    """What one attempt came to. `state` is QUEUED where the same attempt must be taken up again."""

    attempt: Attempt
    state: AttemptState
    done: Done
    follow: Follow | None = None
    possible_duplicate: bool = False
    price_micros: int = 0
    hedge_at: datetime | None = None


def ended(
    attempt: Attempt, state: AttemptState, came: Came, fails: str, hedge_at: datetime | None = None
) -> Conclusion:
    """The send ends here. `fails` is why the verification failed, if nothing of it can have left; "" if it did not.
    `hedge_at` is when it is looked at for a message beside it, None for never."""
    told, write = _told(attempt, state, came, hedge_at)
    writes = [write]
    if fails:
        subject = str(attempt.about.verification_id)
        event = VerificationEnded(
            **shared(attempt.about),
            state=Ending.FAILED,
            reason=fails,
            requested_at=attempt.requested_at,
            sends_used=attempt.send_no,
            checks_used=attempt.checks_used,
            signals=attempt.signals,
        )
        writes.append(Write("fail", subject, (fails,), (Emit(event, subject),)))
    return _conclusion(attempt, state, told, tuple(writes), hedge_at=hedge_at)


def followed(attempt: Attempt, came: Came, choice: Choice, this: Try) -> Conclusion:
    """Another account takes over at once."""
    told, write = _told(attempt, AttemptState.DEFERRED, came)
    identity = attempt_id(attempt.about.verification_id, attempt.send_no, attempt.try_no + 1)
    return _conclusion(attempt, AttemptState.DEFERRED, told, (write,), Follow(identity, choice, this))


def queued(attempt: Attempt, state: AttemptState, came: Came, due: datetime, now: datetime) -> Conclusion:
    """The next try waits in a retry topic."""
    told, write = _told(attempt, state, came)
    tries = (*attempt.tries, attempt.as_try(state))
    try_no = attempt.try_no + 1
    following = attempt_id(attempt.about.verification_id, attempt.send_no, try_no)
    previous = (attempt.id, attempt.owner, attempt.recovery)
    row = (attempt.about.verification_id, attempt.send_no, try_no, attempt.code_version, attempt.send_deadline)
    emit = _request(attempt, following, try_no, tries, due, now)
    queue = Write("queue_next", str(following), (*previous, *row), (emit,))
    return _conclusion(attempt, state, told, (write, queue))


def taken_up_again(attempt: Attempt, due: datetime, now: datetime) -> Conclusion:
    """The same attempt under the same reference: it goes back into the queue, and its account is kept."""
    tries = (*attempt.tries, attempt.as_try(AttemptState.UNKNOWN))
    emit = _request(attempt, attempt.id, attempt.try_no, tries, due, now, recovery=attempt.recovery + 1)
    write = Write("requeue", str(attempt.id), (attempt.owner, attempt.recovery), (emit,))
    return Conclusion(attempt, AttemptState.QUEUED, Done(writes=(write,)))


def _request(
    attempt: Attempt,
    identity: UUID,
    try_no: int,
    tries: tuple[Try, ...],
    due: datetime,
    now: datetime,
    recovery: int = 0,
) -> Emit:
    event = SendRequested(
        **shared(attempt.about),
        attempt_id=identity,
        send_no=attempt.send_no,
        try_no=try_no,
        code_version=attempt.code_version,
        send_deadline=attempt.send_deadline,
        first_try_at=attempt.first_try_at,
        not_before=due,
        tried=tuple(each.account for each in tries if each.account),
        left=left_of(tries),
        recovery=recovery,
        template=attempt.template,
    )
    topic = topic_for((due - now).total_seconds())
    key = str(attempt.about.verification_id)
    return Emit(event, str(identity), ordinal=recovery, topic=topic, key=key)


def _told(
    attempt: Attempt, state: AttemptState, came: Came, hedge_at: datetime | None = None
) -> tuple[AttemptMade, Write]:
    """What is told of a concluded attempt, and the row that concludes it if it is still ours."""
    called = came if isinstance(came, Called) else None
    outcome = called.outcome if called else Outcome(OutcomeClass.TEMPORARY, "" if called else _word(came))
    price, currency = _price(attempt, state, called)
    identity = str(attempt.id)
    event = AttemptMade(
        **shared(attempt.about),
        attempt_id=attempt.id,
        send_no=attempt.send_no,
        try_no=attempt.try_no,
        result=AttemptResult(state.value),
        outcome=outcome.kind.value if called else "",
        account=attempt.account.id if attempt.account else "",
        gateway=attempt.account.gateway if attempt.account else "",
        route_reason=attempt.reason,
        client_ref=identity if called else "",
        provider_id=outcome.provider_id,
        raw_code=outcome.raw_code,
        encoding=called.size.encoding if called else "",
        segments=called.size.segments if called else 0,
        price_micros=price,
        currency=currency,
        latency_ms=called.latency_ms if called else 0,
        possible_duplicate=state in MAY_HAVE_LEFT and left_of(attempt.tries) > 0,
        route=attempt.grounds.route,
        passed_over=attempt.grounds.passed_over,
        drawn=attempt.grounds.drawn,
    )
    columns = (
        attempt.owner,
        attempt.recovery,
        state.value,
        event.outcome,
        event.raw_code,
        event.provider_id,
        event.price_micros,
        event.currency,
        event.latency_ms,
        event.segments,
        event.possible_duplicate,
        first_look_at(attempt.account, event.provider_id, attempt.first_try_at),
        receipt_deadline(attempt.about.expires_at),
        attempt.about.expires_at if attempt.abilities.tells_later(event.provider_id) else None,
        hedge_at,
    )
    emit = Emit(event, identity, key=str(attempt.about.verification_id))
    return event, Write("conclude", identity, columns, (emit,))


def _word(came: Came) -> str:
    return "" if isinstance(came, Called) else came.word


def _price(attempt: Attempt, state: AttemptState, called: Called | None) -> tuple[int, str]:
    """What the attempt costs in millionths, and of what: the gateway's word, else the account's price a part. What
    may have left may be billed; what did not is free."""
    if called is None or state not in MAY_HAVE_LEFT:
        return 0, ""
    if called.outcome.price_micros:
        return called.outcome.price_micros, called.outcome.currency
    a_part = attempt.account.price_for(attempt.about.range) if attempt.account is not None else 0
    if attempt.account is None or not a_part:
        return 0, ""
    return a_part * max(called.size.segments, 1), attempt.account.currency


def _conclusion(
    attempt: Attempt,
    state: AttemptState,
    told: AttemptMade,
    writes: tuple[Write, ...],
    follow: Follow | None = None,
    hedge_at: datetime | None = None,
) -> Conclusion:
    done = Done(writes=writes)
    return Conclusion(attempt, state, done, follow, told.possible_duplicate, told.price_micros, hedge_at)
