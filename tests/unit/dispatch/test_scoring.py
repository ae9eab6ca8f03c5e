"""How codes are counted by account and country, and how counts fade."""

from datetime import timedelta

import pytest

from tests.support.sends import NOW
from watchword.dispatch.decide.scoring import HALF_LIFE, VERIFIED_WITHIN, Tally, added, next_slice

KEY = ("north", "IN")


def test_half_of_what_was_counted_is_gone_after_a_half_life() -> None:
    assert Tally(8.0, 4.0, NOW).faded(NOW + HALF_LIFE) == Tally(4.0, 2.0, NOW + HALF_LIFE)


def test_fading_in_steps_is_fading_at_once() -> None:
    stepped = Tally(8.0, 4.0, NOW)
    for minute in range(1, 61):
        stepped = stepped.faded(NOW + timedelta(minutes=minute))
    assert stepped.verified == pytest.approx(Tally(8.0, 4.0, NOW).faded(NOW + timedelta(hours=1)).verified)


def test_a_clock_that_went_back_makes_nothing_more() -> None:
    assert Tally(8.0, 4.0, NOW).faded(NOW - HALF_LIFE) == Tally(8.0, 4.0, NOW)


def test_a_slice_is_added_to_what_is_left() -> None:
    at = NOW + HALF_LIFE
    found = added({KEY: Tally(8.0, 4.0, NOW), ("south", "IN"): Tally(1.0, 1.0, NOW)}, {KEY: (3, 1)}, at)
    assert found == {KEY: Tally(7.0, 3.0, at)}
    assert added({}, {KEY: (3, 1)}, at) == {KEY: Tally(3.0, 1.0, at)}


def test_verifications_are_counted_once_they_had_their_time() -> None:
    assert next_slice(NOW, NOW + VERIFIED_WITHIN) is None
    later = NOW + VERIFIED_WITHIN + timedelta(seconds=5)
    assert next_slice(NOW, later) == (NOW, NOW + timedelta(seconds=5))


def test_who_comes_late_catches_up_in_slices_and_leaves_out_what_has_faded() -> None:
    assert next_slice(NOW - timedelta(minutes=10), NOW) == (
        NOW - timedelta(minutes=10), NOW - timedelta(minutes=9))  # fmt: skip
    begins, _ = next_slice(NOW - timedelta(days=3), NOW) or (NOW, NOW)
    assert begins == NOW - timedelta(hours=1)
