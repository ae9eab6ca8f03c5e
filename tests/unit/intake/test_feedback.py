"""A platform's word on a verification: kept once, changed a few times, and told to fraud only where a code was sent."""

from dataclasses import replace

import pytest

from tests.support.requests import NOW, SHOP, standing
from watchword.events.feedback_given import FeedbackGiven
from watchword.intake.answers import Accepted, Refused
from watchword.intake.decide import Found, Ruling, Standing, decide_all
from watchword.intake.feedback import CHANGES_MAX
from watchword.intake.limits import Buckets
from watchword.intake.request import Asker, Feedback
from watchword.kernel.verification import State


def ruled(known: Standing | None, *, good: bool) -> Ruling:
    identity = (known or standing()).about.verification_id
    [ruling] = decide_all([(Feedback(Asker(SHOP), identity, good), Found(known))], Buckets({}, 0), NOW)
    return ruling


def told(ruling: Ruling) -> FeedbackGiven:
    [write] = ruling.done.writes
    [emit] = write.emits
    assert write.statement == "give_feedback"
    assert isinstance(emit.event, FeedbackGiven)
    assert (emit.counted, emit.ordinal) == (True, emit.event.feedback_no)
    assert write.row == (emit.event.good, emit.event.feedback_no)
    return emit.event


@pytest.mark.parametrize("good", [True, False])
def test_a_first_word_is_kept_and_told(good: bool) -> None:
    approved = replace(standing(), state=State.APPROVED)
    event = told(ruled(approved, good=good))
    assert (event.good, event.feedback_no, event.sent, event.signals) == (good, 1, True, approved.signals)


def test_the_same_word_again_is_answered_alike_and_changes_nothing() -> None:
    known = standing()
    first = ruled(known, good=True)
    again = ruled(replace(known, feedback=True, feedback_no=1), good=True)
    assert again.done.writes == ()
    assert isinstance(first.reply, Accepted) and isinstance(again.reply, Accepted)
    assert (again.reply.status, again.reply.body) == (200, first.reply.body)


def test_a_changed_mind_is_a_fact_of_its_own_until_it_was_changed_too_often() -> None:
    said = replace(standing(), feedback=True, feedback_no=1)
    assert told(ruled(said, good=False)).feedback_no == 2
    tired = ruled(replace(said, feedback_no=CHANGES_MAX), good=False)
    assert isinstance(tired.reply, Refused)
    assert (tired.reply.code, tired.done.writes) == ("conflict", ())


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("sends_issued", [0, 1])
def test_what_was_never_sent_says_so_however_it_ended(state: State, sends_issued: int) -> None:
    event = told(ruled(replace(standing(), state=state, sends_issued=sends_issued), good=True))
    assert event.sent is (sends_issued == 1)


def test_an_unknown_verification_is_not_found() -> None:
    ruling = ruled(None, good=True)
    assert isinstance(ruling.reply, Refused) and ruling.reply.code == "not_found"
