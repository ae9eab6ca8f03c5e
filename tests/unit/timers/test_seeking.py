"""The age of the oldest uncommitted record is found without reading it, never too small and hardly too large."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.timers.seeking import AGE_MAX_MS, EXACT_ENOUGH_MS, EXACT_ENOUGH_SHARE, Found, Seek

NOW_MS = 1_800_000_000_000
QUESTIONS_MAX = 24


def sought(timestamps_ms: list[int], committed: int) -> tuple[int, int]:
    """What a search in a log of these timestamps (offset = position) finds, and with how many questions."""
    seek, asked = Seek(committed, NOW_MS), 0
    while (moment_ms := seek.next_ms) is not None:
        asked += 1
        assert asked <= QUESTIONS_MAX, "a search ends"
        offset = bisect_left(timestamps_ms, moment_ms)
        seek.learn(moment_ms, Found(offset, timestamps_ms[offset]) if offset < len(timestamps_ms) else None)
    return seek.oldest_ms, asked


@given(
    st.lists(st.integers(0, 6 * 86_400_000), min_size=1, max_size=40),
    st.integers(0, 39),
)
def test_an_age_is_never_too_small_and_at_most_a_twentieth_too_large(ages_ms: list[int], committed: int) -> None:
    timestamps_ms = sorted(NOW_MS - age_ms for age_ms in ages_ms)
    committed = min(committed, len(timestamps_ms) - 1)
    true_age_ms = NOW_MS - timestamps_ms[committed]
    told_age_ms = NOW_MS - sought(timestamps_ms, committed)[0]
    assert true_age_ms <= told_age_ms
    assert told_age_ms - true_age_ms <= max(EXACT_ENOUGH_MS, true_age_ms / EXACT_ENOUGH_SHARE) + 1


def test_a_few_records_are_found_at_once() -> None:
    told_ms, asked = sought([NOW_MS - 30_000, NOW_MS - 20_000], committed=0)
    assert (told_ms, asked) == (NOW_MS - 30_000, 4)


def test_a_record_of_weeks_ago_is_as_old_as_is_told() -> None:
    assert NOW_MS - sought([NOW_MS - 10 * AGE_MAX_MS, NOW_MS - 5], committed=0)[0] >= AGE_MAX_MS


@pytest.mark.parametrize("ahead_ms", [1, 60_000])
def test_a_writer_whose_clock_is_ahead_makes_no_negative_age(ahead_ms: int) -> None:
    assert sought([NOW_MS + ahead_ms], committed=0)[0] <= NOW_MS
