"""Which faults come, and in which order."""

import random
from itertools import islice

from tests.chaos.faults import Fault, deck


async def nothing() -> None:
    """A fault that does nothing."""


FAULTS = [Fault(f"fault {number}", nothing) for number in range(7)]


def drawn(seed: int) -> list[str]:
    return [fault.kind for fault in islice(deck(FAULTS, random.Random(seed)), 21)]


def test_the_same_seed_brings_the_same_faults_and_another_one_others() -> None:
    assert drawn(7) == drawn(7) != drawn(8)


def test_every_fault_comes_before_any_comes_twice() -> None:
    for round_of in (slice(0, 7), slice(7, 14), slice(14, 21)):
        assert sorted(drawn(7)[round_of]) == sorted(fault.kind for fault in FAULTS)
