"""The keys by which risk is counted lie within each other, and are not remembered for ever."""

import tracemalloc

from watchword.kernel.feature import trail_of


def test_a_row_lies_in_all_that_its_digits_begin_with() -> None:
    trail = trail_of("row:+9198123456.t1.t2@acme", "IN")

    assert [feature for _, feature in trail] == [
        "country:IN@acme",
        "operator:+9198123@acme",
        "series:+919812345@acme",
        "range:+9198123456@acme",
        "block:+9198123456.t1@acme",
        "row:+9198123456.t1.t2@acme",
    ]


def test_the_trail_of_a_block_and_of_a_range_end_with_them() -> None:
    assert [kind for kind, _ in trail_of("block:+9198123456.t1@acme", "")] == ["operator", "series", "range", "block"]
    assert [kind for kind, _ in trail_of("range:+9198123456@acme", "")] == ["operator", "series", "range"]


def test_an_hour_of_new_numbers_takes_no_more_memory_than_its_first_minutes() -> None:
    for number in range(5_000):
        trail_of(f"row:+9198123456.{number}.t@acme", "IN")

    tracemalloc.start()
    for number in range(5_000, 20_000):
        trail_of(f"row:+9198123456.{number}.t@acme", "IN")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 3_000_000, "the same keys again and again, not one set a number"
