"""How late a stage says it is: of the oldest thing in hand, at the moment somebody looks."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from watchword.runtime import unfinished
from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.unfinished import WANTED_WITHIN_S, Overdue, Unfinished

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ENVELOPE = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/x"), ("ce_type", b"otp.x.v1")]


def record(age_s: float, *, expires_in_s: float | None = None) -> SimpleNamespace:
    """A Kafka record written `age_s` ago."""
    headers = list(ENVELOPE)
    if expires_in_s is not None:
        headers.append(("ce_expirytime", (NOW + timedelta(seconds=expires_in_s)).isoformat().encode()))
    return SimpleNamespace(timestamp=int((NOW.timestamp() - age_s) * 1000), headers=headers)


@pytest.mark.parametrize(
    ("age_s", "expires_in_s", "used"),
    [
        (60, 240, 0.2),
        (0, 300, 0.0),
        (300, 0, 1.0),
        (310, -10, 310 / 300),
        (30, None, 30 / WANTED_WITHIN_S),
        (5, -20, 5 / WANTED_WITHIN_S),
    ],
    ids=["a fifth", "new", "at its deadline", "late", "without a deadline", "told after its deadline"],
)
def test_a_record_has_used_its_share_of_the_time_it_had(age_s: float, expires_in_s: float | None, used: float) -> None:
    [one] = unfinished.oldest([record(age_s, expires_in_s=expires_in_s)])
    assert one.used_ratio(NOW.timestamp()) == pytest.approx(used)


def test_headers_that_cannot_be_read_leave_the_age() -> None:
    poison = SimpleNamespace(timestamp=int((NOW.timestamp() - 9) * 1000), headers=[("ce_expirytime", b"\xff")])
    assert unfinished.of_record(poison).age_s(NOW.timestamp()) == pytest.approx(9)


def test_the_oldest_record_counts_and_none_is_nothing() -> None:
    [one] = unfinished.oldest([record(3), record(8), record(1)])
    assert one.age_s(NOW.timestamp()) == pytest.approx(8)
    assert unfinished.oldest([]) == ()


def test_a_stage_tells_what_is_in_hand_when_it_is_looked_at() -> None:
    metrics, in_hand = Metrics(), [Unfinished(NOW.timestamp() - 30, NOW.timestamp() + 30)]
    unfinished.show(RuntimeMetrics(metrics), "codes", now=lambda: NOW, in_hand=lambda: in_hand)
    assert metrics.value("watchword_runtime_deadline_used_ratio", stage="codes") == pytest.approx(0.5)
    assert metrics.value("watchword_runtime_oldest_seconds", stage="codes") == pytest.approx(30)
    in_hand.clear()
    assert metrics.value("watchword_runtime_deadline_used_ratio", stage="codes") == 0
    assert metrics.value("watchword_runtime_oldest_seconds", stage="codes") == 0


def test_what_is_overdue_grows_older_while_nobody_can_look() -> None:
    metrics, moment_s = Metrics(), [100.0]
    overdue = Overdue(RuntimeMetrics(metrics), "outbox", within_s=20, monotonic=lambda: moment_s[0])
    assert metrics.value("watchword_runtime_oldest_seconds", stage="outbox") == 0
    overdue.tell(4.0)
    moment_s[0] = 106.0
    assert metrics.value("watchword_runtime_oldest_seconds", stage="outbox") == pytest.approx(10)
    assert metrics.value("watchword_runtime_deadline_used_ratio", stage="outbox") == pytest.approx(0.5)
    overdue.tell(0.0)
    moment_s[0] = 200.0
    assert metrics.value("watchword_runtime_oldest_seconds", stage="outbox") == 0
