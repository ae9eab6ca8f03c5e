"""What `make fuzz` makes of the fuzzer's words."""

from pathlib import Path

from tests.fuzz.__main__ import read

WELL = """
INFO: seed corpus: files: 6
#4\tINITED cov: 78 ft: 80 corp: 4/600b exec/s: 0 rss: 90Mb
#9999\tREDUCE cov: 80 ft: 96 corp: 54/4kb lim: 4096 exec/s: 999 rss: 99Mb
stat::number_of_executed_units: 37499
"""
CRASHED = """
#4\tINITED cov: 78 ft: 80 corp: 4/600b exec/s: 0 rss: 90Mb
 === Uncaught Python exception: ===
IndexError: list index out of range
artifact_prefix='found/x/'; Test unit written to found/x/crash-36bd
stat::number_of_executed_units: 12
"""


def test_a_run_that_found_nothing_is_told_in_figures() -> None:
    ran = read(WELL)
    assert (ran.executions, ran.edges, ran.corpus, ran.found) == (37_499, 80, 54, ())


def test_an_input_that_was_found_is_told_with_what_it_raised() -> None:
    ran = read(CRASHED)
    assert ran.found == (Path("found/x/crash-36bd"),)
    assert "IndexError" in ran.said


def test_an_input_that_was_only_slow_is_no_finding() -> None:
    assert read(WELL + "Test unit written to found/x/slow-unit-1\n").found == ()
