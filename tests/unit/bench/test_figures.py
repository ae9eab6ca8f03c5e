"""What a bench writes has the shape that is agreed, and its arithmetic is right."""

from typing import Any

import pytest

from tests.bench.capacity import units_of
from tests.bench.figures import Report, Run, Seen, Spread, Stored, details, document, growth, quantile, rows, short

HOST = {"cpus": 2}


def run_of(approved: int, *, started: int = 0, unfinished: int = 0, took_s: float = 10.0, **cpu_ms: float) -> Run:
    used = {"codes": 100.0, "fraud": 300.0, "simulator": 900.0, "postgres": 200.0, "kafka": 400.0} | cpu_ms
    seen = Seen(
        accept_ms=[1.0, 2.0, 3.0], carrier_ms=[20.0, 10.0], check_ms=[4.0], started=started or approved,
        approved=approved, unfinished=unfinished, took_s=took_s,
    )  # fmt: skip
    return Run(50.0, 10.0, seen, used, {"codes": 80.04, "fraud": 90.0, "simulator": 50.0})


def shape(value: Any) -> Any:
    """The keys of nested objects, and what kind of value each leaf is."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return "number" if isinstance(value, int | float) else type(value).__name__


def report(**changes: Any) -> Report:
    told: dict[str, Any] = {
        "runs": [run_of(100), run_of(200), run_of(400)], "sustained_per_s": 120.0,
        "stored": {10_000: Stored(Spread(1.0, 2.0, 3.0), 300.0), 1_000_000: Stored(Spread(2.0, 2.2, 3.0), 330.0)},
        "audit": "clean", "kafka": "Apache Kafka 4.3.1", "host": HOST,
    }  # fmt: skip
    return Report(**told | changes)


def test_the_document_has_the_shape_that_others_read() -> None:
    quantiles = {"p50": "number", "p99": "number"}
    costs = {
        "ours": {"codes": "number", "fraud": "number"},
        "ours_total": "number",
        "postgres": "number",
        "kafka": "number",
        "all": "number",
    }
    assert shape(document(report(full=[run_of(500)]))) == {
        "cpu_ms": costs,
        "cpu_ms_at_limit": costs,
        "sustained_per_s": "number",
        "latency_ms": {"accept": quantiles, "carrier": quantiles, "check": quantiles},
        "rss_mib": {"codes": "number", "fraud": "number"},
        "growth": {"stored_10k": "number", "stored_1m": "number"},
        "audit": "str",
        "runs": "number",
        "kafka": "str",
        "host": {"cpus": "number"},
    }


def test_what_was_not_measured_is_said_to_be_unknown() -> None:
    stored = {10_000: Stored(Spread(1.0, 2.0, 3.0), 300.0), 100_000: Stored(Spread(1.0, 2.1, 3.0), 300.0)}
    told = document(report(stored=stored))
    assert told["growth"] == {"stored_10k": 2.0, "stored_100k": 2.1, "stored_1m": None}


def test_what_is_just_sustained_is_told_apart_from_half_of_it() -> None:
    told = report(full=[run_of(400)])
    assert document(told)["cpu_ms_at_limit"]["ours_total"] == 1.0
    assert dict(rows(told))["CPU-ms ours at the limit"] == Spread(1.0, 1.0, 1.0)
    assert document(report())["cpu_ms_at_limit"] is None


def test_a_verification_costs_the_median_over_runs_and_never_the_simulator() -> None:
    told = document(report())["cpu_ms"]
    assert told["ours"] == {"codes": 0.5, "fraud": 1.5}
    assert (told["ours_total"], told["postgres"], told["kafka"], told["all"]) == (2.0, 1.0, 2.0, 5.0)


def test_what_is_beside_the_document_is_what_capacity_is_reckoned_from() -> None:
    told = details(report(each={"wal_bytes": 9.0, "topic_bytes": 8.0}))
    assert units_of(document(report()), told).wal_bytes == 9.0
    assert told["blocks"] == {"stored_10k": 300.0, "stored_1m": 330.0}
    assert told["figures"]["CPU-ms ours"] == {"min": 1.0, "median": 2.0, "max": 4.0}


def test_every_figure_is_printed_with_its_spread() -> None:
    told = dict(rows(report()))
    assert told["CPU-ms ours"] == Spread(1.0, 2.0, 4.0)
    assert told["carrier p99 ms"] == Spread(20.0, 20.0, 20.0)
    assert told["CPU-ms with 1m stored"] == Spread(2.0, 2.2, 3.0)
    assert {"CPU-ms simulator", "MiB codes", "accept p50 ms", "check p99 ms"} <= told.keys()


@pytest.mark.parametrize(
    ("run", "kept_up"),
    [
        (run_of(500), True),
        (run_of(500, unfinished=50), True),
        (run_of(500, unfinished=51), False),
        (run_of(480, started=500), False),
        (run_of(500, took_s=10.4), False),
    ],
    ids=["all is well", "a second's worth is under way", "they pile up", "not all are approved", "requests left late"],
)
def test_a_rate_is_kept_up_only_if_nothing_piles_up(run: Run, kept_up: bool) -> None:
    assert run.kept_up is kept_up


def test_quantiles_sizes_and_growth() -> None:
    assert [quantile(list(range(100)), part) for part in (0.5, 0.99, 1.0)] == [50, 99, 99]
    assert quantile([], 0.5) == 0.0
    assert [short(count) for count in (10_000, 1_000_000, 1_500)] == ["10k", "1m", "1500"]
    assert growth({10_000: 2.0, 1_000_000: 2.2}) == pytest.approx(1.1)
    assert growth({}) == 1.0
