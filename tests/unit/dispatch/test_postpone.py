"""Waiting in retry topics."""

from datetime import datetime, timedelta

import pytest

from tests.support.sends import ABOUT, NOW, attempt
from watchword.dispatch.decide.postpone import held_s, onward, tier_after, topic_for
from watchword.events import topics
from watchword.events.send_requested import SendRequested
from watchword.events.verification import shared


def request(due_s: float | None) -> SendRequested:
    return SendRequested(
        **shared(ABOUT),
        attempt_id=attempt().id,
        send_no=1,
        try_no=1,
        code_version=1,
        send_deadline=NOW + timedelta(seconds=240),
        not_before=None if due_s is None else at(due_s),
    )


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("tier_s", "asked_s", "wanted"), [(0, 0, 1), (1, 0, 5), (5, 0, 15), (15, 0, 15), (0, 6.2, 7)])
def test_the_next_delay(tier_s: int, asked_s: float, wanted: int) -> None:
    assert tier_after(tier_s, asked_s) == wanted


@pytest.mark.parametrize(
    ("wait_s", "topic"),
    [
        (0.2, topics.RETRY_1S), (1, topics.RETRY_1S), (4.9, topics.RETRY_1S), (5, topics.RETRY_5S),
        (8, topics.RETRY_5S), (15, topics.RETRY_15S), (60, topics.RETRY_15S),
    ],
)  # fmt: skip
def test_a_wait_goes_to_the_longest_topic_that_is_not_too_long(wait_s: float, topic: str) -> None:
    assert topic_for(wait_s) == topic


@pytest.mark.parametrize(
    ("due_s", "tier_s", "wanted_s"),
    [
        (None, 0, 0), (None, 5, 0), (30, 0, 0),  # the main topic holds nothing
        (5, 5, 5), (8, 5, 5), (5.9, 5, 5.9), (2, 5, 2), (-3, 5, -3), (60, 15, 15),
    ],
)  # fmt: skip
def test_a_topic_holds_for_its_delay_and_no_longer(due_s: float | None, tier_s: int, wanted_s: float) -> None:
    assert held_s(request(due_s), NOW, tier_s, NOW, known_s=0.0) == pytest.approx(wanted_s)


def test_sending_goes_on_after_the_database_clock_went_back_by_a_minute() -> None:
    told_at = at(60)
    assert held_s(request(None), told_at, 0, NOW, known_s=0.0) == 0.0
    assert held_s(request(75), told_at, 15, NOW, known_s=0.0) == 16.0
    assert held_s(request(75), told_at, 15, at(15.9), known_s=15.9) == pytest.approx(0.1)
    assert held_s(request(75), told_at, 15, at(16), known_s=16.0) == 0.0, "however often it is looked at"


def test_what_is_due_goes_nowhere() -> None:
    assert onward(request(None), NOW, 5, NOW) is None
    assert onward(request(5), NOW, 5, at(5)) is None


def test_what_is_not_due_goes_on_to_the_topic_for_the_rest_of_its_wait() -> None:
    emit = onward(request(8), NOW, 1, at(2))
    assert emit is not None
    assert (emit.topic, emit.key, emit.counted) == (topics.RETRY_5S, str(ABOUT.verification_id), False)
    assert emit.event == request(8)


def test_after_a_backward_step_of_the_clock_a_retry_waits_for_what_was_left_of_its_wait_and_no_longer() -> None:
    """Told a minute ahead of the clock that is right now, held for five of its eight seconds."""
    emit = onward(request(68), at(60), 5, at(5))
    assert emit is not None
    assert (emit.topic, emit.event) == (topics.RETRY_1S, request(8))
    assert onward(request(65), at(60), 5, at(5)) is None


def test_every_postponement_of_a_request_has_a_name_of_its_own() -> None:
    ordinals = [emit.ordinal for now_s in range(8) if (emit := onward(request(8), at(now_s), 0, at(now_s))) is not None]
    assert len(set(ordinals)) == 8
    assert min(ordinals) > 99
