"""How fast an account is called."""

import pytest

from watchword.dispatch.pacing import Pace


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
