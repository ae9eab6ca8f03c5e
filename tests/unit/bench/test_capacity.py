"""What many verifications a second need follows from what one costs."""

import pytest

from tests.bench.capacity import PARTITIONS_MAX, Plan, Units, needs, units_of

UNITS = Units({"codes": 0.3, "dispatch": 0.6}, postgres_ms=0.6, kafka_ms=0.2, wal_bytes=2**20, topic_bytes=2**20)
PLAN = Plan(per_s=1_000, used=0.5, database_cores=8, broker_cores=16, core_hour=0.04)


def test_cores_follow_from_cpu_and_the_share_that_may_be_busy() -> None:
    told = needs(UNITS, PLAN)
    assert told.processes == {"codes": 1, "dispatch": 2}
    assert told.cells == 1
    assert told.cores == pytest.approx(3 + 2 * 1.2 + 3 * 0.4)
    assert (told.wal_mib_per_s, told.topics_mib_per_s) == (1_000, 3_000)
    assert told.connections_a_cell == 12


def test_a_database_that_is_full_makes_another_cell_and_every_cell_has_every_worker() -> None:
    told = needs(UNITS, Plan(per_s=10_000, used=0.5, database_cores=4))
    assert told.cells == 3
    assert min(told.processes.values()) >= told.cells
    assert told.partitions_a_cell == 4


def test_a_worker_has_no_more_processes_in_a_cell_than_partitions() -> None:
    told = needs(Units({"codes": 10.0}, 0.01, 0.1, 1, 1), Plan(per_s=10_000, used=1.0))
    assert told.processes["codes"] == 100
    assert told.cells == 3
    assert told.partitions_a_cell <= PARTITIONS_MAX


def test_units_are_those_that_a_bench_wrote() -> None:
    latest = {"cpu_ms": {"ours": {"codes": 0.5}, "postgres": 1.0, "kafka": 2.0}}
    told = units_of(latest, {"one_verification": {"wal_bytes": 9.0, "topic_bytes": 8.0}})
    assert told == Units({"codes": 0.5}, 1.0, 2.0, 9.0, 8.0)
    with pytest.raises(KeyError):
        units_of(latest, {})


def test_units_are_those_of_full_batches_where_a_bench_measured_them() -> None:
    half = {"ours": {"codes": 0.5}, "postgres": 1.0, "kafka": 2.0}
    full = {"ours": {"codes": 0.2}, "postgres": 0.4, "kafka": 0.3}
    told = units_of(
        {"cpu_ms": half, "cpu_ms_at_limit": full}, {"one_verification": {"wal_bytes": 9.0, "topic_bytes": 8.0}}
    )
    assert told == Units({"codes": 0.2}, 0.4, 0.3, 9.0, 8.0)
