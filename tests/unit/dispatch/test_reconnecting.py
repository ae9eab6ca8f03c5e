"""Coming back after a connection ended: soon at first, ever later, and never together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.dispatch.reconnecting import LONGEST_S, REFUSED_S, pause_s


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (4, 8), (6, 30), (10_000, 30)])
def test_each_failure_in_a_row_doubles_the_pause_up_to_a_bound(failures: int, seconds: float) -> None:
    assert pause_s(failures, refused=False, draw=1.0) == seconds
    assert pause_s(failures, refused=False, draw=0.0) == seconds / 2


@given(failures=st.integers(0, 10**9), draw=st.floats(0, 1))
def test_whoever_is_refused_waits_a_minute_at_least(failures: int, draw: float) -> None:
    assert pause_s(failures, refused=True, draw=draw) >= REFUSED_S
    assert 0.5 <= pause_s(failures, refused=False, draw=draw) <= LONGEST_S
