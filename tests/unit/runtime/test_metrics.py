"""Metrics keep to their names and labels, and a hostile value makes no series of its own."""

import pytest

from watchword.runtime.metrics import CHILDREN_MAX, Metrics, RuntimeMetrics


def test_what_was_counted_is_exposed_under_its_full_name() -> None:
    metrics = Metrics()
    counter = metrics.of("codes").counter("issued_total", "Codes issued.", "outcome")
    counter.add(outcome="issued")
    counter.add(2, outcome="issued")
    content_type, body = metrics.exposition()
    assert content_type.startswith("text/plain")
    assert b'watchword_codes_issued_total{outcome="issued"} 3.0' in body
    assert b"process_resident_memory_bytes" in body


def test_two_registries_never_meet() -> None:
    one, other = Metrics(), Metrics()
    RuntimeMetrics(one).outbox_swept.add()
    RuntimeMetrics(other)
    assert one.value("watchword_runtime_outbox_swept_total") == 1
    assert other.value("watchword_runtime_outbox_swept_total") == 0


def test_declaring_again_gives_the_same_metric() -> None:
    metrics = Metrics()
    assert RuntimeMetrics(metrics).events is RuntimeMetrics(metrics).events
    with pytest.raises(ValueError, match="declared twice"):
        metrics.of("runtime").counter("events_total", "Other.", "stage")


def test_label_order_does_not_matter_and_a_missing_label_is_an_error() -> None:
    metrics = Metrics()
    events = RuntimeMetrics(metrics).events
    events.add(stage="codes", outcome="done")
    events.add(outcome="done", stage="codes")
    assert metrics.value("watchword_runtime_events_total", stage="codes", outcome="done") == 2
    with pytest.raises(ValueError, match="labels"):
        events.add(stage="codes")
    with pytest.raises(ValueError, match="labels"):
        events.add(stage="codes", reason="x")


@pytest.mark.parametrize(
    "value", ["+919876543210", "493021", "0195f000-1234-7abc-8def-000000012345", "a b", "x" * 99, "ключ"]
)
def test_what_looks_like_a_number_or_an_id_is_counted_as_other(value: str) -> None:
    metrics = Metrics()
    metrics.of("x").counter("seen_total", "Seen.", "reason").add(reason=value)
    assert metrics.value("watchword_x_seen_total", reason="other") == 1


def test_values_without_end_are_counted_as_other() -> None:
    metrics = Metrics()
    counter = metrics.of("x").counter("seen_total", "Seen.", "account")
    for number in range(CHILDREN_MAX + 50):
        counter.add(account=f"account-{number}")
    assert metrics.value("watchword_x_seen_total", account="other") == 50


@pytest.mark.parametrize(
    ("name", "labels"),
    [("seen", ()), ("Seen_total", ()), ("seen_total", ("number",)), ("seen_total", ("tenant",)), ("seen__total", ())],
)
def test_a_name_or_label_outside_the_rules_is_refused(name: str, labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="watchword_x_"):
        Metrics().of("x").counter(name, "Wrong.", *labels)


def test_gauges_and_histograms_need_a_unit() -> None:
    own = Metrics().of("x")
    own.gauge("lag_seconds", "Lag.").set(1)
    own.histogram("batch_size", "Sizes.").observe(3)
    with pytest.raises(ValueError, match="ends in one of"):
        own.gauge("lag", "Lag.")
