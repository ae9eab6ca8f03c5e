"""Turns keep their distance, and a lone one waits for nothing."""

from watchword.runtime.pace import Pace


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
