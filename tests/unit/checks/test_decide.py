"""What a check is answered and what follows from it, case by case."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from watchword.checks.decide import (
    Answer,
    CheckFacts,
    Guess,
    Result,
    answer,
    conclude,
    conclude_late,
    uncounted,
)
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.verification import Facts, Signals
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.event import Event
from watchword.kernel.verdict import Done
from watchword.kernel.verification import State

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FACTS = CheckFacts(
    about=Facts(
        verification_id=UUID("0195f000-0000-7000-8000-000000000001"),
        tenant="shop",
        number_token="token",
        country="IN",
        range="+91987654",
        purpose="login",
        channel="sms",
        policy="default",
        policy_version=1,
        expires_at=NOW + timedelta(seconds=300),
    ),
    state=State.ISSUED,
    in_time=True,
    requested_at=NOW,
    binding_hash="",
    signals=Signals(ip_net_token="net"),
    sends_issued=2,
    checks_used=1,
    checks_max=5,
)
RIGHT, WRONG = Guess(2, right=True, bound=True), Guess(2, right=False, bound=True)
LAST_WRONG = replace(WRONG, check_no=5)


def told(done: Done) -> list[Event]:
    return [emit.event for write in done.writes for emit in write.emits]


@pytest.mark.parametrize(
    ("state", "in_time", "expected"),
    [
        (State.APPROVED, True, Answer(Result.USED, 0)),
        (State.APPROVED, False, Answer(Result.USED, 0)),
        (State.LOCKED, True, Answer(Result.LOCKED, 0)),
        (State.EXPIRED, False, Answer(Result.EXPIRED, 0)),
        (State.CANCELLED, True, Answer(Result.EXPIRED, 0)),
        (State.FAILED, True, Answer(Result.EXPIRED, 0)),
        (State.ISSUED, False, Answer(Result.EXPIRED, 0)),
        (State.REQUESTED, False, Answer(Result.EXPIRED, 0)),
        (State.BLOCKED, False, Answer(Result.EXPIRED, 0)),
        (State.REQUESTED, True, None),
        (State.BLOCKED, True, None),
        (State.ISSUED, True, None),
    ],
)
def test_what_may_hold_a_code_is_counted_and_the_rest_is_answered(
    state: State, in_time: bool, expected: Answer | None
) -> None:
    assert uncounted(replace(FACTS, state=state, in_time=in_time)) == expected


@pytest.mark.parametrize("in_time", [True, False])
@pytest.mark.parametrize("state", [State.REQUESTED, State.ISSUED, State.BLOCKED, State.EXPIRED])
def test_a_verification_without_checks_left_is_locked_whatever_is_typed_and_stays_so(
    state: State, in_time: bool
) -> None:
    assert uncounted(replace(FACTS, state=state, in_time=in_time, checks_used=5)) == Answer(Result.LOCKED, 0)


@pytest.mark.parametrize("state", [State.REQUESTED, State.BLOCKED])
def test_whoever_was_blocked_hears_what_others_hear_check_by_check(state: State) -> None:
    """He heard "4 left" of every wrong code, and so that he was blocked."""
    heard = {where: [answer(replace(FACTS, state=where), replace(WRONG, check_no=n)) for n in range(1, 6)]
             for where in (state, State.ISSUED)}  # fmt: skip
    assert heard[state] == heard[State.ISSUED]
    assert [each.checks_left for each in heard[state]] == [4, 3, 2, 1, 0]
    assert heard[state][-1].result is Result.LOCKED


@pytest.mark.parametrize("state", [State.REQUESTED, State.BLOCKED])
def test_without_a_code_the_last_wrong_one_is_told_and_moves_nothing(state: State) -> None:
    done = conclude(replace(FACTS, state=state), LAST_WRONG)
    [checked] = told(done)
    assert [write.statement for write in done.writes] == ["note"]
    assert isinstance(checked, CodeChecked)
    assert (checked.result, checked.check_no, checked.checks_left) == (CheckResult.LOCKED, 5, 0)


def test_a_blocked_ones_check_that_timers_told_of_is_answered_like_any_other() -> None:
    facts = replace(FACTS, state=State.BLOCKED)
    assert conclude_late(facts, WRONG, State.BLOCKED)[0] == Answer(Result.WRONG, 3)


@pytest.mark.parametrize(
    ("guess", "expected"),
    [
        (RIGHT, Answer(Result.APPROVED, 0)),
        (replace(RIGHT, check_no=5), Answer(Result.APPROVED, 0)),
        (WRONG, Answer(Result.WRONG, 3)),
        (LAST_WRONG, Answer(Result.LOCKED, 0)),
        (replace(RIGHT, bound=False), Answer(Result.BINDING_MISMATCH, 3)),
        (replace(WRONG, bound=False), Answer(Result.BINDING_MISMATCH, 3)),
        (replace(RIGHT, bound=False, check_no=5), Answer(Result.LOCKED, 0)),
    ],
)
def test_a_counted_check_gets_one_of_four_answers(guess: Guess, expected: Answer) -> None:
    assert answer(FACTS, guess) == expected


def test_a_right_code_approves_and_ends_the_verification() -> None:
    done = conclude(FACTS, RIGHT)
    checked, ended = told(done)
    assert [write.statement for write in done.writes] == ["approve"]
    assert isinstance(checked, CodeChecked)
    assert isinstance(ended, VerificationEnded)
    assert (checked.result, checked.check_no, checked.checks_left) == (CheckResult.APPROVED, 2, 3)
    assert (ended.state, ended.reason, ended.sends_used, ended.checks_used) == (Ending.APPROVED, "right_code", 2, 2)
    assert ended.signals.ip_net_token == "net"
    assert checked.signals == Signals(), "only a wrong code is counted by who typed it"


def test_a_wrong_code_is_told_and_ends_nothing() -> None:
    done = conclude(FACTS, WRONG)
    [checked] = told(done)
    assert [write.statement for write in done.writes] == ["note"]
    assert isinstance(checked, CodeChecked)
    assert (checked.result, checked.check_no, checked.checks_left) == (CheckResult.WRONG, 2, 3)
    assert checked.signals == FACTS.signals, "wrong codes are counted by whose network they come from"


def test_the_last_wrong_code_locks() -> None:
    done = conclude(FACTS, LAST_WRONG)
    checked, ended = told(done)
    assert [write.statement for write in done.writes] == ["lock"]
    assert isinstance(checked, CodeChecked)
    assert isinstance(ended, VerificationEnded)
    assert (checked.result, ended.state, ended.checks_used) == (CheckResult.LOCKED, Ending.LOCKED, 5)


def test_another_binding_is_a_wrong_check() -> None:
    done = conclude(FACTS, replace(RIGHT, bound=False))
    [checked] = told(done)
    assert isinstance(checked, CodeChecked)
    assert [write.statement for write in done.writes] == ["note"]
    assert checked.result is CheckResult.BINDING_MISMATCH


def test_each_check_of_a_verification_has_an_event_of_its_own() -> None:
    ordinals = {conclude(FACTS, replace(WRONG, check_no=n)).writes[0].emits[0].ordinal for n in (1, 2, 3, 4)}
    assert ordinals == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("guess", "state", "expected", "event"),
    [
        (RIGHT, State.APPROVED, Result.USED, CheckResult.UNKNOWN),
        (RIGHT, State.EXPIRED, Result.EXPIRED, CheckResult.UNKNOWN),
        (RIGHT, State.CANCELLED, Result.EXPIRED, CheckResult.UNKNOWN),
        (LAST_WRONG, State.APPROVED, Result.USED, CheckResult.WRONG),
    ],
)
def test_a_check_that_lost_the_race_to_an_ending_is_still_told_and_never_approves(
    guess: Guess, state: State, expected: Result, event: CheckResult
) -> None:
    answered, done = conclude_late(FACTS, guess, state)
    [checked] = told(done)
    assert isinstance(checked, CodeChecked)
    assert [write.statement for write in done.writes] == ["note"]
    assert (answered, checked.result) == (Answer(expected, 0), event)
