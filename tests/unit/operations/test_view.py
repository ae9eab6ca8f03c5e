"""What two looks at the pages of some processes say together."""

import pytest

from watchword.operations.pages import Page, Sample, samples_of
from watchword.operations.view import View, view
from watchword.runtime.health import CheckState

CODES = "http://codes"
DISPATCH = "http://dispatch"


def page(url: str, at_s: float, text: str = "", **told: object) -> Page:
    """A page as it is served at a moment."""
    return Page(url, at_s, samples_of(text), **told)  # type: ignore[arg-type]  # a page's own fields


def events(count: int) -> str:
    return (
        f'watchword_runtime_events_total{{stage="codes",outcome="done"}} {count}\n'
        'watchword_runtime_deadline_used_ratio{stage="codes"} 0.25\n'
        'watchword_runtime_oldest_seconds{stage="codes"} 75\n'
        'watchword_runtime_held_size{stage="codes"} 2\n'
    )


def seen(before: list[Page], now: list[Page]) -> View:
    return view(before, now)


def test_a_rate_is_what_grew_between_two_looks_over_all_processes() -> None:
    before = [page("a", 10, events(100)), page("b", 10, events(7))]
    now = [page("a", 12, events(120)), page("b", 12, events(9))]
    [stage] = seen(before, now).stages
    assert (stage.stage, stage.per_s, stage.oldest_s, stage.used_ratio, stage.held) == ("codes", 11.0, 75, 0.25, 4)


def test_a_process_that_started_anew_counts_from_nothing() -> None:
    [stage] = seen([page("a", 10, events(1000))], [page("a", 12, events(4))]).stages
    assert stage.per_s == 2.0


def test_a_process_seen_for_the_first_time_has_no_rate_yet() -> None:
    [stage] = seen([Page("a", 10, problem="away")], [page("a", 12, events(40))]).stages
    assert stage.per_s == 0


def test_lag_is_that_of_the_stages_group_whoever_tells_it() -> None:
    lag = (
        'watchword_lag_waiting_size{group="dispatch",topic="otp.dispatch.v1"} 5\n'
        'watchword_lag_waiting_size{group="dispatch",topic="otp.dispatch.retry-1s.v1"} 2\n'
        'watchword_lag_oldest_seconds{group="dispatch",topic="otp.dispatch.v1"} 31.5\n'
        'watchword_runtime_deadline_used_ratio{stage="dispatch"} 0\n'
    )
    # Two timers tell the same: it is not added up.
    [stage] = seen([], [page("one", 1, lag), page("other", 1, lag)]).stages
    assert (stage.lag, stage.lag_s) == (7, 31.5)


def test_accounts_show_outcomes_cost_and_the_worst_breaker() -> None:
    def dispatch(accepted: int, breaker: int) -> str:
        return (
            f'watchword_dispatch_attempts_total{{outcome="accepted",account="alpha"}} {accepted}\n'
            'watchword_dispatch_attempts_total{outcome="temporary",account="alpha"} 3\n'
            f'watchword_dispatch_breaker_state{{account="alpha"}} {breaker}\n'
            'watchword_dispatch_cost_micros_total{account="alpha"} 2500000\n'
        )

    before = [page(DISPATCH, 1, dispatch(0, 0)), page("other", 1, dispatch(0, 0))]
    now = [page(DISPATCH, 3, dispatch(10, 0)), page("other", 3, dispatch(6, 2))]
    [account] = seen(before, now).accounts
    assert account.outcomes == {"accepted": 16, "temporary": 6}
    assert (account.per_s, account.breaker, account.cost) == (8.0, "open", 5.0)


def test_a_process_that_is_away_or_not_ready_says_why() -> None:
    stale = CheckState("kafka", False, 3.0, "does not answer")
    told = seen([], [Page(CODES, 1, problem="TimeoutError"), Page(DISPATCH, 1, checks=(stale,))]).processes
    assert [(each.ready, each.problem, each.failing) for each in told] == [
        (False, "TimeoutError", []),
        (False, "", ["kafka: does not answer"]),
    ]


def test_a_page_that_is_no_metrics_page_is_refused() -> None:
    assert samples_of('a_total{x="y"} 2\n') == (Sample("a_total", {"x": "y"}, 2.0),)
    with pytest.raises(ValueError):
        samples_of("<html>")
