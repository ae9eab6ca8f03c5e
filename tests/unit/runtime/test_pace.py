"""Turns keep their distance, and a lone one waits for nothing."""

import pytest

from watchword.runtime.pace import SPREAD, Pace


class Hands:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_the_first_turn_waits_for_nothing() -> None:
    assert Pace(5.0, monotonic=Hands()).rest_s() == 0.0


def test_a_turn_waits_for_what_is_left_since_the_last_one_began() -> None:
    clock = Hands()
    pace = Pace(5.0, monotonic=clock)
    pace.begin()
    clock.at_s += 2.0
    assert pace.rest_s() == 3.0


def test_after_a_pause_a_turn_waits_for_nothing() -> None:
    clock = Hands()
    pace = Pace(5.0, monotonic=clock)
    pace.begin()
    clock.at_s += 5.0
    assert pace.rest_s() == 0.0


def test_without_a_distance_turns_follow_each_other_at_once() -> None:
    pace = Pace(0.0, monotonic=Hands())
    pace.begin()
    assert pace.rest_s() == 0.0


def taking(pace: Pace, clock: Hands, *turns_s: float) -> None:
    for turn_s in turns_s:
        pace.begin()
        clock.at_s += turn_s
        pace.end()


def test_on_a_busy_machine_the_next_turn_comes_later_by_as_much_as_these_took() -> None:
    clock = Hands()
    pace = Pace(0.02, monotonic=clock)
    taking(pace, clock, 0.045, 0.04)
    assert pace.rest_s() == pytest.approx(SPREAD * 0.04 - 0.04)


def test_one_turn_that_met_a_slow_disk_makes_the_next_one_wait_for_nothing() -> None:
    clock = Hands()
    pace = Pace(0.02, monotonic=clock)
    taking(pace, clock, 0.002, 0.04)
    assert pace.rest_s() == 0.0


def test_a_quick_turn_keeps_the_distance_and_no_more() -> None:
    clock = Hands()
    pace = Pace(0.02, monotonic=clock)
    pace.begin()
    clock.at_s += 0.002
    pace.end()
    assert pace.rest_s() == pytest.approx(0.018)


def test_after_turns_that_stood_still_the_next_one_does_not_wait_as_long() -> None:
    clock = Hands()
    pace = Pace(0.02, monotonic=clock)
    taking(pace, clock, 10.0, 10.0)
    assert pace.rest_s() == 0.0


def test_a_turn_longer_than_every_rest_is_followed_at_once() -> None:
    clock = Hands()
    pace = Pace(0.5, monotonic=clock)
    taking(pace, clock, 0.3, 0.3)
    assert pace.rest_s() == pytest.approx(0.2), "its own distance is longer than any rest that is added"
