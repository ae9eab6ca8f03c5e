"""What a flood is blamed for."""

from typing import Any

import pytest

from tests.chaos.crowd import Flood, tail
from tests.chaos.overload import broken, figures

FLOOD = Flood(seconds=10.0, accepted_ms=[400.0] * 300, refused_ms=[20.0] * 700, coded_s=[1.5] * 300)
FLOOD.statuses.update({202: 300, 503: 690, 429: 10})
FLOOD.accepted_at.update({f"+{number}": 0.0 for number in range(300)})
WELL: dict[str, Any] = {
    **{f"flood_{name}": value for name, value in figures(FLOOD).items()},
    "flood_offered_per_s": 100.0, "sustained_per_s": 30.0, "late": 0, "recovered_s": 2.0,
    "quiet_answers": {"202": 20}, "quiet_accepted": 20, "quiet_accepted_with_code": 20,
}  # fmt: skip
CALLBACKS = ({"endpoint": "main", "waits_s": 3.0}, {"endpoint": "slow", "waits_s": 300.0})


def test_a_flood_that_was_borne_is_blamed_for_nothing() -> None:
    assert broken(WELL, CALLBACKS) == []


@pytest.mark.parametrize(
    ("change", "blamed_for"),
    [
        ({"flood_answers": {"0": 1, "202": 300, "503": 699}}, "answers other than"),
        ({"flood_answers": {"202": 1_000}}, "nobody was refused"),
        ({"flood_offered_per_s": 59.0}, "this was no overload"),
        ({"flood_refused_without_retry_after": 1}, "did not say when to come back"),
        ({"flood_refused_p50_ms": 501.0}, "a no took"),
        ({"flood_refused_p99_ms": 2_001.0}, "a no took"),
        ({"flood_accepted_p99_ms": 5_001.0}, "a yes took"),
        ({"flood_answers": {"202": 29, "503": 971}}, "less was accepted than is sustained"),
        ({"flood_accepted_with_code": 299}, "got no code"),
        ({"late": 1}, "after their deadline"),
        ({"recovered_s": 10.5}, "until all was well again"),
        ({"quiet_answers": {"202": 19, "503": 1}}, "a quiet tenant was answered"),
        ({"quiet_accepted_with_code": 19}, "a quiet tenant got no code"),
    ],
)
def test_each_promise_that_was_not_kept_is_told(change: dict[str, Any], blamed_for: str) -> None:
    [told] = broken(WELL | change, CALLBACKS)
    assert blamed_for in told


def test_an_endpoint_that_waits_beside_a_slow_one_is_told() -> None:
    [told] = broken(WELL, [{"endpoint": "main", "waits_s": 11.0}])
    assert told.startswith("endpoint main waits 11 s")


def test_the_tail_is_the_value_below_which_99_in_100_lie() -> None:
    assert (tail(range(1_000)), tail([7.0]), tail([])) == (990, 7.0, 0.0)
