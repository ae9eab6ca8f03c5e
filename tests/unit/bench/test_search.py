"""The rate that is sustained is found in few steps, whatever it is, and the search always ends."""

import pytest

from tests.bench.search import CLOSE, RATE_MIN, Search

STEPS_MAX = 20


def found(truth_per_s: float, first_per_s: float) -> tuple[float, int]:
    """What a search comes to where everything up to `truth_per_s` is kept up, and after how many tries."""
    search = Search(first_per_s)
    tries = 0
    while not search.done and tries < STEPS_MAX:
        search.judged(search.rate_per_s <= truth_per_s)
        tries += 1
    return search.best_per_s, tries


@pytest.mark.parametrize("truth_per_s", [7.0, 59.0, 61.0, 180.0, 1_480.0])
def test_it_comes_close_from_below(truth_per_s: float) -> None:
    best_per_s, tries = found(truth_per_s, 60.0)
    assert truth_per_s / CLOSE <= best_per_s <= truth_per_s
    assert tries < STEPS_MAX


def test_it_ends_where_nothing_is_kept_up_and_where_everything_is() -> None:
    assert found(RATE_MIN / 2, 60.0)[0] == 0.0
    best_per_s, tries = found(1e9, 60.0)
    assert best_per_s > 10_000 and tries < STEPS_MAX
