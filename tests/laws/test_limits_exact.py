"""Limits are exact: never more than the burst and what has flowed in since, however the takers are split up."""

from hypothesis import given
from hypothesis import strategies as st

from watchword.intake.gcra import Rate, per, taken, wait_us
from watchword.intake.limits import Buckets, Limit

rates = st.builds(Rate, count=st.integers(1, 5_000), period_s=st.integers(1, 86_400), burst=st.integers(1, 50))
gaps_us = st.lists(st.integers(0, 5_000_000), min_size=1, max_size=120)
BEGIN_US = 1_700_000_000_000_000


def granted_at(rate: Rate, gaps: list[int]) -> list[int]:
    now_us, tat_us, granted = BEGIN_US, 0, []
    for gap in gaps:
        now_us += gap
        if not wait_us(rate, tat_us, now_us):
            tat_us = taken(rate, tat_us, now_us)
            granted.append(now_us)
    return granted


@given(rates, gaps_us)
def test_no_window_holds_more_than_the_burst_and_what_flowed_in(rate: Rate, gaps: list[int]) -> None:
    granted = granted_at(rate, gaps)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            window_us = granted[last] - granted[first]
            assert (last - first + 1) <= rate.burst + window_us / rate.spacing_us + 1e-9


@given(rates, gaps_us)
def test_whoever_waits_as_told_is_let_in_and_not_a_microsecond_earlier(rate: Rate, gaps: list[int]) -> None:
    now_us, tat_us = BEGIN_US, 0
    for gap in gaps:
        now_us += gap
        wait = wait_us(rate, tat_us, now_us)
        if wait:
            assert wait_us(rate, tat_us, now_us + wait - 1) == 1
        assert wait_us(rate, tat_us, now_us + wait) == 0
        now_us += wait
        tat_us = taken(rate, tat_us, now_us)


@given(rates, st.integers(1, 120), st.data())
def test_any_split_into_batches_admits_the_same_number(rate: Rate, takers: int, data: st.DataObject) -> None:
    limit = Limit("tenant", "rate_limited", "k", rate)
    left, admitted, tats = takers, 0, {"k": 0}
    while left:
        size = data.draw(st.integers(1, left))
        buckets = Buckets(tats, BEGIN_US)
        admitted += sum(buckets.take([limit]) is None for _ in range(size))
        tats |= buckets.changed()
        left -= size
    assert admitted == min(takers, rate.burst)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 60))
def test_what_one_limit_refuses_burns_nothing_of_the_others(outer: int, inner: int, takers: int) -> None:
    wide, narrow = Limit("tenant", "x", "wide", per(outer, 60)), Limit("day", "y", "narrow", per(inner, 60))
    buckets = Buckets({}, BEGIN_US)
    admitted = sum(buckets.take([wide, narrow]) is None for _ in range(takers))
    assert admitted == min(outer, inner, takers)
    assert buckets.room(wide).remaining == outer - admitted
    assert buckets.room(narrow).remaining == inner - admitted


@given(rates)
def test_a_bucket_that_was_never_used_holds_its_burst(rate: Rate) -> None:
    room = Buckets({}, BEGIN_US).room(Limit("tenant", "x", "k", rate))
    assert (room.remaining, room.reset_s) == (rate.burst, 0.0)
