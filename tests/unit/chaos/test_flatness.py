"""What a soak takes for a leak."""

from typing import Any

import pytest

from tests.chaos.flatness import Sample, unflat


def run(count: int = 12, **changes: Any) -> list[Sample]:
    """Samples of a process that is flat, but for what each change says of a moment."""
    told: list[Sample] = []
    for moment in range(count):
        usual: dict[str, Any] = {
            "rss_mib": {"codes": 80.0}, "descriptors": {"codes": 20 + moment % 2}, "tasks": {"codes": 9},
            "connections": 30, "latency_ms": {"accept": 5.0 + moment % 3},
        }  # fmt: skip
        told.append(Sample(**usual | {name: change(moment) for name, change in changes.items()}))
    return told


def test_what_goes_up_and_down_is_flat() -> None:
    assert unflat(run()) == []
    assert unflat(run(rss_mib=lambda moment: {"codes": 60.0 + min(moment, 4)})) == [], "it warmed up"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("codes grew", {"rss_mib": lambda moment: {"codes": 60.0 + moment}}),
        ("descriptors", {"descriptors": lambda moment: {"codes": 20 + moment}}),
        ("tasks", {"tasks": lambda moment: {"codes": 9 + moment // 2}}),
        ("connections", {"connections": lambda moment: 30 + moment}),
        ("accept takes", {"latency_ms": lambda moment: {"accept": 5.0 * 1.4**moment}}),
    ],
)
def test_what_only_goes_up_is_not(what: str, change: dict[str, Any]) -> None:
    [told] = unflat(run(**change))
    assert what in told


def test_too_few_samples_are_no_judgement() -> None:
    with pytest.raises(ValueError, match="six"):
        unflat(run(count=5))
