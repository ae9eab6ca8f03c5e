"""What a provider is told of the code in its message, when, and for how long."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.support.sends import ABOUT, NORTH, NOW, attempt, called, routing
from watchword.dispatch.decide.conclude import conclude as conclude_attempt
from watchword.dispatch.decide.feedback import (
    FIRST_LOOK,
    GRACE,
    LATEST,
    PAUSES,
    TRIES_MAX,
    Due,
    Noted,
    Word,
    conclude,
    decide,
    put_back,
)
from watchword.gateways.contract import Account, Conversion
from watchword.gateways.facts import Feedback
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.ids import attempt_id
from watchword.kernel.verification import LIVE, State

ENDED = NOW - timedelta(seconds=20)
DUE = Due(
    attempt_id=attempt_id(ABOUT.verification_id, 1, 1),
    verification_id=ABOUT.verification_id,
    provider_id="SM1",
    tries=1,
    held_until=NOW + timedelta(seconds=90),
    state=State.APPROVED,
    ended_at=ENDED,
    expires_at=NOW + timedelta(seconds=200),
    carried=True,
)
TELLING = replace(NORTH, feedback=True)
CONVERTED = Conversion("SM1", True, ENDED, NOW)
PASSING = (OutcomeClass.THROTTLED, OutcomeClass.TEMPORARY, OutcomeClass.AMBIGUOUS)


def said(due: Due, takes: Feedback = Feedback.EITHER) -> Conversion | Word:
    told = decide(due, takes, NOW)
    return told.word if isinstance(told, Noted) else told


@pytest.mark.parametrize(
    ("account", "provider_id", "kind", "looked_at"),
    [
        (TELLING, "SM1", OutcomeClass.ACCEPTED, NOW + FIRST_LOOK),
        (NORTH, "SM1", OutcomeClass.ACCEPTED, None),
        (TELLING, "", OutcomeClass.ACCEPTED, None),
    ],
    ids=["told", "not opted in", "without a name"],
)
def test_only_a_message_with_a_name_of_an_account_that_tells_is_ever_looked_at(
    account: Account, provider_id: str, kind: OutcomeClass, looked_at: datetime | None
) -> None:
    came = called(kind, provider_id=provider_id)
    concluded = conclude_attempt(attempt(account=account), came, routing(account), NOW)
    assert concluded.done.writes[0].row[-4] == looked_at


@pytest.mark.parametrize("takes", [Feedback.CONVERTED, Feedback.EITHER])
def test_a_provider_hears_that_the_code_in_its_message_was_typed_and_when(takes: Feedback) -> None:
    assert said(DUE, takes) == CONVERTED


def test_of_several_messages_only_the_one_that_carried_the_code_is_told_of() -> None:
    assert said(replace(DUE, carried=False)) is Word.UNTOLD


@pytest.mark.parametrize("state", State)
def test_that_no_code_was_typed_is_told_of_what_expired_alone_and_only_to_who_wants_to_hear_it(state: State) -> None:
    due = replace(DUE, state=state, ended_at=None if state in LIVE else ENDED, carried=False)
    if state in LIVE:
        assert said(due) is Word.WAITING
    elif state is State.EXPIRED:
        assert said(due) == replace(CONVERTED, converted=False)
    else:
        assert said(due) is Word.UNTOLD
    for takes in (Feedback.CONVERTED, Feedback.NONE):
        assert isinstance(said(due, takes), Word)


@pytest.mark.parametrize("left_s", [200, -30])
def test_while_somebody_may_still_type_it_nothing_is_told_and_no_try_is_counted(left_s: int) -> None:
    expires_at = NOW + timedelta(seconds=left_s)
    due = replace(DUE, state=State.ISSUED, ended_at=None, expires_at=expires_at, tries=0)
    assert decide(due, Feedback.EITHER, NOW) == Noted(due, Word.WAITING, max(expires_at, NOW) + GRACE, 0)


def test_what_is_too_old_is_not_told_any_more() -> None:
    assert said(replace(DUE, ended_at=NOW - LATEST)) != Word.TOO_LATE
    assert said(replace(DUE, ended_at=NOW - LATEST - timedelta(seconds=1))) is Word.TOO_LATE


def test_what_everybody_dies_over_is_given_up() -> None:
    assert isinstance(said(replace(DUE, tries=TRIES_MAX)), Conversion)
    assert said(replace(DUE, tries=TRIES_MAX + 1)) is Word.GIVEN_UP


def test_what_was_taken_is_done_with() -> None:
    taken = Outcome(OutcomeClass.ACCEPTED)
    assert conclude(DUE, CONVERTED, taken, NOW) == Noted(DUE, Word.CONVERTED, None, 1)
    assert conclude(DUE, replace(CONVERTED, converted=False), taken, NOW).word is Word.UNCONVERTED


@pytest.mark.parametrize("kind", [*sorted(set(OutcomeClass) - {OutcomeClass.ACCEPTED}), None])
def test_what_may_pass_is_tried_a_few_times_and_a_refusal_is_not(kind: OutcomeClass | None) -> None:
    outcome = Outcome(kind) if kind is not None else None
    tried = [conclude(replace(DUE, tries=no), CONVERTED, outcome, NOW) for no in range(1, TRIES_MAX + 1)]
    if kind is None or kind in PASSING:
        waits = [each.look_at - NOW for each in tried if each.look_at is not None]
        assert waits == sorted(PAUSES) == list(PAUSES)
        assert [each.word for each in tried] == [Word.AGAIN] * len(PAUSES) + [Word.GIVEN_UP]
    else:
        assert {(each.word, each.look_at) for each in tried} == {(Word.REFUSED, None)}


def test_a_provider_that_asks_for_time_gets_it() -> None:
    busy = Outcome(OutcomeClass.THROTTLED, retry_after_ms=600_000)
    assert conclude(DUE, CONVERTED, busy, NOW).look_at == NOW + timedelta(minutes=10)


def test_what_was_not_told_for_others_went_unanswered_does_not_count_as_a_try() -> None:
    assert put_back(replace(DUE, tries=3), NOW) == Noted(replace(DUE, tries=3), Word.AGAIN, NOW + PAUSES[0], 2)
