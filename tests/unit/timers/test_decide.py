"""What each kind of overdue row is owed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from watchword.events import topics
from watchword.events.attempt_made import AttemptMade, AttemptResult
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, Signals
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.ids import attempt_id
from watchword.kernel.policy import OnTimeout, Policy
from watchword.kernel.verdict import Done
from watchword.kernel.verification import ENDED, LIVE, RECEIPT_RANK, AttemptState, ReceiptState, State
from watchword.timers.decide import (
    LOOK_AGAIN,
    DueVerification,
    OverdueAttempt,
    UnreportedAttempt,
    decide_abandoned,
    decide_due,
    decide_late,
    decide_stale,
    decide_unreported,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VERIFICATION = UUID("0195f000-0000-7000-8000-000000000001")
ATTEMPT = attempt_id(VERIFICATION, 1, 2)
ABOUT = Facts(
    verification_id=VERIFICATION,
    tenant="shop",
    number_token="token",
    country="IN",
    range="+91987654",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=1,
    expires_at=NOW + timedelta(seconds=298),
)
DUE = DueVerification(
    about=ABOUT,
    state=State.REQUESTED,
    created_at=NOW - timedelta(seconds=2),
    rules=Policy(id="default", tenant="shop", template="default", assess_timeout_ms=1_000),
    signals=Signals(device_token="device"),
    sends_requested=1,
    sends_assessed=0,
    sends_issued=0,
    checks_used=0,
    checks_told=0,
    checks_max=5,
    overdue_since=NOW - timedelta(seconds=1),
)
STALE = OverdueAttempt(
    about=ABOUT,
    attempt_id=ATTEMPT,
    state=AttemptState.SENDING,
    send_no=1,
    try_no=2,
    code_version=1,
    send_deadline=NOW + timedelta(seconds=200),
    recovery=0,
    account="echo-1",
    gateway="echo",
    overdue_since=NOW - timedelta(seconds=1),
    first_try_at=NOW - timedelta(seconds=20),
    tried=("echo-0",),
    left=1,
    template="payment",
)


def only(done: Done) -> tuple[str, tuple[object, ...], list[object]]:
    [write] = done.writes
    return write.statement, write.row, [emit.event for emit in write.emits]


@pytest.mark.parametrize(
    ("choice", "action", "mode"),
    [(OnTimeout.OPEN, Action.ALLOW, Mode.TIMEOUT_OPEN), (OnTimeout.CLOSED, Action.BLOCK, Mode.TIMEOUT_CLOSED)],
)
def test_an_assessment_that_did_not_come_is_replaced_by_the_policys_choice(
    choice: OnTimeout, action: Action, mode: Mode
) -> None:
    rules = Policy(id="default", tenant="shop", template="default", on_assess_timeout=choice)
    done = decide_due(replace(DUE, rules=rules), NOW)
    statement, row, [event] = only(done)
    assert isinstance(event, VerificationAssessed)
    assert (statement, row) == ("assume_assessed", (0, 1, ABOUT.expires_at))
    assert (event.action, event.mode, event.send_no, event.ruleset) == (action, mode, 1, "timeout")
    assert (event.reasons[0].code, event.reasons[0].value, event.reasons[0].threshold) == (
        "assessment_late", 2_000, 1_000,
    )  # fmt: skip
    assert done.writes[0].emits[0].topic == topics.ASSESSMENTS


def test_every_send_that_waits_gets_its_assessment_under_its_own_number() -> None:
    done = decide_due(replace(DUE, state=State.ISSUED, sends_requested=4, sends_assessed=2), NOW)
    assert [(emit.ordinal, emit.subject) for emit in done.writes[0].emits] == [
        (3, str(VERIFICATION)), (4, str(VERIFICATION)),
    ]  # fmt: skip


def test_nothing_owed_is_looked_at_again_when_the_life_ends() -> None:
    assert only(decide_due(replace(DUE, sends_assessed=1), NOW)) == ("look_again", (ABOUT.expires_at,), [])


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_life_that_is_over_ends_as_expired_even_if_an_assessment_is_owed(state: State) -> None:
    done = decide_due(replace(DUE, state=state, checks_used=2, sends_issued=1), ABOUT.expires_at)
    statement, row, [event] = only(done)
    assert isinstance(event, VerificationEnded)
    assert (statement, row) == ("expire", ("time_over",))
    assert (event.state, event.sends_used, event.checks_used) == (Ending.EXPIRED, 1, 2)
    assert event.signals.device_token == "device"


def test_one_whose_rules_cannot_be_read_expires_like_any_other() -> None:
    """It stopped the expiry of all."""
    statement, _, [event] = only(decide_due(replace(DUE, rules=None), ABOUT.expires_at))
    assert isinstance(event, VerificationEnded)
    assert statement == "expire"


def test_one_whose_rules_cannot_be_read_is_left_for_a_while_to_those_who_can() -> None:
    unreadable = replace(DUE, rules=None)
    assert only(decide_due(unreadable, NOW)) == ("look_again", (NOW + LOOK_AGAIN,), [])
    just_before = ABOUT.expires_at - timedelta(seconds=1)
    assert only(decide_due(unreadable, just_before)) == ("look_again", (ABOUT.expires_at,), [])


def test_a_claim_whose_worker_is_gone_is_queued_again_with_all_that_dispatch_needs() -> None:
    done = decide_stale(STALE, NOW)
    statement, row, [event] = only(done)
    assert isinstance(event, SendRequested)
    assert (statement, row) == ("requeue", (1,))
    assert (event.attempt_id, event.try_no, event.recovery, event.tried, event.left) == (ATTEMPT, 2, 1, ("echo-0",), 1)
    assert (event.first_try_at, event.template) == (STALE.first_try_at, "payment")
    [emit] = done.writes[0].emits
    assert (emit.subject, emit.ordinal, emit.key) == (str(ATTEMPT), 1, str(VERIFICATION))


def test_past_its_send_deadline_a_stale_claim_is_still_asked_about() -> None:
    assert only(decide_stale(STALE, STALE.send_deadline))[0] == "requeue"


def test_a_stale_claim_whose_code_is_dead_stays_unknown_and_never_unsent() -> None:
    statement, row, [event] = only(decide_stale(STALE, ABOUT.expires_at))
    assert isinstance(event, AttemptMade)
    assert (statement, row) == ("give_up", ("sending", "unknown", "ambiguous"))
    assert (event.result, event.account, event.client_ref) == (AttemptResult.UNKNOWN, "echo-1", str(ATTEMPT))


def test_an_attempt_nobody_claimed_in_time_is_skipped() -> None:
    late = replace(STALE, state=AttemptState.QUEUED, account="", gateway="")
    statement, row, [event] = only(decide_late(late, NOW))
    assert isinstance(event, AttemptMade)
    assert (statement, row) == ("give_up", ("queued", "skipped_late", ""))
    assert (event.result, event.outcome) == (AttemptResult.SKIPPED_LATE, "")


def test_an_attempt_that_was_claimed_once_is_unknown_and_not_skipped() -> None:
    late = replace(STALE, state=AttemptState.QUEUED, recovery=2)
    statement, row, [event] = only(decide_late(late, NOW))
    assert isinstance(event, AttemptMade)
    assert (statement, row) == ("give_up", ("queued", "unknown", "ambiguous"))


def test_an_attempt_ends_once_whoever_tells_it() -> None:
    ends = (decide_stale(STALE, ABOUT.expires_at), decide_late(replace(STALE, state=AttemptState.QUEUED), NOW))
    assert {done.writes[0].emits[0].ordinal for done in ends} == {0}


@pytest.mark.parametrize("state", sorted(ENDED))
@pytest.mark.parametrize(
    ("used", "told", "missing"), [(3, 0b101, [2]), (2, 0b00, [1, 2]), (2, 0b10, [1]), (5, 0b11111, []), (0, 0, [])]
)
def test_an_ended_verification_owes_the_checks_that_nobody_told(
    state: State, used: int, told: int, missing: list[int]
) -> None:
    facts = replace(DUE, state=state, checks_used=used, checks_told=told)
    [write] = decide_due(facts, NOW).writes
    assert (write.statement, write.row) == ("tell_interrupted", (told,))
    events = [each.event for each in write.emits]
    assert all(isinstance(each, CodeChecked) and each.result is CheckResult.UNKNOWN for each in events)
    assert [
        (each.ordinal, each.event.check_no, each.event.checks_left)
        for each in write.emits
        if isinstance(each.event, CodeChecked)
    ] == [(number, number, 5 - number) for number in missing]


def test_an_attempt_of_an_ended_verification_never_left() -> None:
    [write] = decide_abandoned(replace(STALE, state=AttemptState.QUEUED), NOW).writes
    assert (write.statement, write.row) == ("give_up", ("queued", "skipped_late", ""))
    [told] = write.emits
    assert isinstance(told.event, AttemptMade) and told.event.result is AttemptResult.SKIPPED_LATE


SILENT = UnreportedAttempt(
    about=ABOUT,
    verification=State.EXPIRED,
    attempt_id=ATTEMPT,
    account="echo-1",
    provider_id="m-1",
    receipt_rank=0,
    left=1,
    overdue_since=NOW - timedelta(seconds=1),
)
RANK = RECEIPT_RANK


@pytest.mark.parametrize(
    ("verification", "left", "known", "wanted"),
    [
        (State.EXPIRED, 1, None, "unknown"),
        (State.LOCKED, 1, ReceiptState.ENROUTE, "unknown"),
        (State.ISSUED, 1, ReceiptState.SUBMITTED, "unknown"),
        (State.EXPIRED, 1, ReceiptState.UNDELIVERED, ""),
        (State.EXPIRED, 1, ReceiptState.UNKNOWN, ""),
        (State.APPROVED, 1, None, "delivered_implied"),
        (State.APPROVED, 1, ReceiptState.UNDELIVERED, "delivered_implied"),
        (State.APPROVED, 1, ReceiptState.DELIVERED_IMPLIED, ""),
        (State.APPROVED, 2, None, "unknown"),
        (State.APPROVED, 2, ReceiptState.UNDELIVERED, ""),
    ],
)
def test_an_attempt_of_which_nobody_told_comes_to(
    verification: State, left: int, known: ReceiptState | None, wanted: str
) -> None:
    rank = RANK[known] if known else 0
    done = decide_unreported(replace(SILENT, verification=verification, left=left, receipt_rank=rank), NOW)
    statement, row, events = only(done)
    if not wanted:
        assert (statement, row, events) == ("await_no_receipt", (), [])
        return
    [event] = events
    assert isinstance(event, ReceiptRecorded)
    assert (statement, row) == ("assume_receipt", (RANK[ReceiptState(wanted)], wanted))
    assert (event.state, event.attempt_id, event.account) == (ReceiptWord(wanted), ATTEMPT, "echo-1")
    assert done.writes[0].emits[0].ordinal == RANK[ReceiptState(wanted)]
