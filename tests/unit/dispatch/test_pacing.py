"""How fast an account is called."""

import pytest

from watchword.dispatch.pacing import PAUSE_MAX_S, PROBE_EVERY_S, Pace


def test_calls_come_no_faster_than_agreed() -> None:
    pace = Pace(10)
    waits = [pace.take(100.0) for _ in range(32)]
    assert waits[-1] == pytest.approx(3.0, abs=0.11)
    assert sum(wait == 0.0 for wait in waits) <= 3


def test_a_slow_account_may_always_be_called_once_at_once() -> None:
    pace = Pace(0.5)
    assert [pace.take(100.0), pace.take(100.0)] == [0.0, 2.0]


def test_unused_moments_do_not_pile_up() -> None:
    pace = Pace(100)
    assert sum(pace.take(1_000.0) == 0.0 for _ in range(1_000)) <= 21


def test_a_throttled_call_slows_all_that_follow() -> None:
    pace = Pace(100)
    pace.throttled(0.0)
    assert pace.rate == pytest.approx(70)


def test_a_burst_of_throttled_calls_counts_once_a_second() -> None:
    pace = Pace(100)
    for at_s in (0.0, 0.1, 0.9, 1.0):
        pace.throttled(at_s)
    assert pace.rate == pytest.approx(49)


def test_it_is_never_slowed_to_a_standstill() -> None:
    pace = Pace(100)
    for at_s in range(200):
        pace.throttled(float(at_s))
    assert pace.rate == pytest.approx(2)


def test_the_rate_comes_back_a_twentieth_every_five_seconds() -> None:
    pace = Pace(100)
    pace.throttled(0.0)
    pace.take(4.9)
    assert pace.rate == pytest.approx(70)
    pace.take(10.0)
    assert pace.rate == pytest.approx(80)
    pace.take(10_000.0)
    assert pace.rate == 100


def test_a_gateway_that_asks_for_a_pause_gets_it() -> None:
    pace = Pace(100)
    pace.throttled(0.0, pause_s=2.0)
    assert pace.delay_s(0.0) == 2.0
    assert pace.delay_s(2.0) == 0.0


def test_an_account_is_not_stopped_for_an_hour_because_one_answer_asked_for_it() -> None:
    """A firewall's 429 with `Retry-After: 3600`."""
    pace = Pace(100)
    pace.throttled(0.0, pause_s=3_600.0)
    assert pace.delay_s(0.0) == PAUSE_MAX_S
    assert pace.delay_s(PAUSE_MAX_S) == 0.0


def test_after_a_pause_that_was_cut_short_one_call_looks_and_the_others_wait_for_its_answer() -> None:
    pace = Pace(100)
    pace.throttled(0.0, pause_s=3_600.0)
    pace.answered(5.0)  # a call from before
    assert pace.delay_s(5.0) == PAUSE_MAX_S - 5.0
    assert pace.take(31.0) == 0.0
    assert pace.delay_s(31.0) == PROBE_EVERY_S, "and another one looks where that one is never answered"
    pace.answered(31.2)
    assert pace.delay_s(31.2) == 0.0
    pace.take(31.2)
    assert pace.delay_s(31.3) == 0.0


def test_whoever_looks_and_is_told_to_wait_again_waits_again() -> None:
    pace = Pace(100)
    pace.throttled(0.0, pause_s=3_600.0)
    pace.take(30.0)
    pace.throttled(30.2, pause_s=3_600.0)
    assert pace.delay_s(30.2) == pytest.approx(PAUSE_MAX_S)
    assert pace.take(61.0) == 0.0
    assert pace.delay_s(61.0) == PROBE_EVERY_S
