"""What the fuzzer begins with and what it once found, read as each reader promises: `make fuzz` looks for more.

A file below `tests/fuzz/found/<target>/` is an input that was not read as promised, named after what a user saw.
"""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, Target

FOUND = Path(__file__).parents[1] / "fuzz" / "found"
KEPT = sorted(path for path in FOUND.glob("*/*") if path.is_file())


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_what_the_fuzzer_begins_with_is_read_as_promised(target: Target) -> None:
    seeds = list(target.seeds())
    assert seeds, "nothing to begin with"
    for seed in seeds:
        target.try_one(seed)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_fuzzer_found_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name].try_one(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_a_target_reads_nothing_at_all(target: Target) -> None:
    target.try_one(b"")
