"""When an endpoint hears of it again: densely while the code lives, then for three days."""

from datetime import UTC, datetime, timedelta

import pytest

from watchword.callbacks.decide.schedule import after_pause, draw_of, gives_up_at, moments, next_try

BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIVES_ON = BEGUN + timedelta(seconds=120)
OVER = BEGUN - timedelta(seconds=1)


def tried_at_s(begun_at: datetime, expires_at: datetime, draw: float = 0.0) -> list[float]:
    """Every try of an endpoint that refuses at once, in seconds from the beginning."""
    now, tries = begun_at, []
    while (at := next_try(begun_at, expires_at, now, draw)) is not None:
        tries.append((at - begun_at).total_seconds())
        now = at
    return tries


def test_while_the_code_lives_tries_come_densely_and_afterwards_ever_more_seldom() -> None:
    assert tried_at_s(BEGUN, LIVES_ON) == [
        *(1, 3, 8, 18, 38, 78, 118),
        *(125, 425, 2_225, 9_425, 27_425, 63_425, 113_825, 185_825, 272_225),
    ]  # fmt: skip


def test_what_is_told_after_the_life_goes_by_the_long_schedule_alone_75_hours_in_all() -> None:
    tries = tried_at_s(BEGUN, OVER)
    assert tries[:3] == [5, 305, 2_105]
    assert tries[-1] == timedelta(hours=75, minutes=35, seconds=5).total_seconds()


@pytest.mark.parametrize("expires_at", [OVER, BEGUN, BEGUN + timedelta(seconds=1), LIVES_ON])
def test_every_try_is_late_by_a_tenth_of_its_gap_at_most_and_keeps_its_place(expires_at: datetime) -> None:
    plain, late = tried_at_s(BEGUN, expires_at), tried_at_s(BEGUN, expires_at, draw=0.999)
    gaps = [gap_s for _, gap_s in moments(BEGUN, expires_at)]
    assert len(plain) == len(late) == len(gaps)
    assert all(0 <= second - first <= gap / 10 for first, second, gap in zip(plain, late, gaps, strict=True))


def test_a_dense_try_is_never_put_off_past_the_life_of_the_code() -> None:
    expires_at = BEGUN + timedelta(seconds=118.5)
    assert next_try(BEGUN, expires_at, BEGUN + timedelta(seconds=80), 0.999) == expires_at


def test_a_slow_failure_loses_tries_and_no_time() -> None:
    assert next_try(BEGUN, LIVES_ON, BEGUN + timedelta(seconds=10), 0.0) == BEGUN + timedelta(seconds=18)


def test_after_the_last_moment_there_is_no_other_and_giving_up_lies_behind_it() -> None:
    end = gives_up_at(BEGUN, LIVES_ON)
    assert next_try(BEGUN, LIVES_ON, end, 0.0) is None
    assert BEGUN + timedelta(seconds=tried_at_s(BEGUN, LIVES_ON, draw=0.999)[-1]) <= end


@pytest.mark.parametrize(
    ("asked_s", "waits_s"), [(None, 2.0), (0.0, 2.0), (1.5, 2.0), (30.0, 30.0), (3_600.0, 3_600.0), (1e12, 3_600.0)]
)
def test_an_endpoint_may_ask_for_more_time_but_never_for_more_than_an_hour(
    asked_s: float | None, waits_s: float
) -> None:
    planned = BEGUN + timedelta(seconds=2)
    assert after_pause(planned, BEGUN, asked_s) == BEGUN + timedelta(seconds=waits_s)


def test_the_draw_follows_from_what_it_is_for_and_is_spread_over_its_range() -> None:
    draws = [draw_of("event/main", 0, number) for number in range(1_000)]
    assert draws == [draw_of("event/main", 0, number) for number in range(1_000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert 0.45 < sum(draws) / len(draws) < 0.55
    assert len(set(draws)) == 1_000
