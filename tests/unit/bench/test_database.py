"""What one verification makes Postgres do is the difference of two counts, without what it does anyway."""

import pytest

from tests.bench.database import Counts, blocks_each, tables_each, totals_each


def counts(at_s: float, blocks: float, **attempts: int) -> Counts:
    table = {"inserted": 0, "updated": 0, "updated_hot": 0, "deleted": 0, "scanned": 0} | attempts
    return Counts(at_s, {"blocks": blocks}, {"attempts": table, "codes": dict.fromkeys(table, 7)}, {"attempts": 7})


def test_blocks_are_those_of_verifications_alone() -> None:
    idle = (counts(0, 1_000), counts(5, 2_000))
    busy = (counts(10, 5_000), counts(20, 57_000))
    assert blocks_each(idle, busy, 100) == pytest.approx(500)
    assert totals_each(*busy, 100) == {"blocks": 520.0}


def test_a_table_that_nothing_was_done_to_is_not_told_of() -> None:
    [use] = tables_each(counts(0, 0), counts(1, 0, inserted=100, updated=300, updated_hot=75), 100)
    assert (use.name, use.indexes, use.inserted, use.updated, use.hot) == ("attempts", 7, 1.0, 3.0, 0.25)


def test_a_partition_that_is_new_counts_from_nothing() -> None:
    before = Counts(0, {"blocks": 0}, {}, {})
    assert [use.name for use in tables_each(before, counts(1, 0, inserted=100), 100)] == ["codes", "attempts"][::-1]
