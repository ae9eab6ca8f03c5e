"""Which faults come, and in which order."""

import random
from itertools import islice
from typing import Any

from tests.chaos.faults import Breaker, Fault, deck
from tests.chaos.installation import PROXIES, Installation
from tests.support.proxy import Proxy


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


def test_every_way_there_is_goes_wrong_in_every_way() -> None:
    """To servers, to carriers over HTTP and over SMPP, and to the doors of platforms and carriers."""
    nothing_runs: Any = None
    proxies = {name: Proxy(0) for name in PROXIES}
    made = Installation(nothing_runs, nothing_runs, nothing_runs, proxies, nothing_runs, nothing_runs, nothing_runs)
    breaker = Breaker(made, random.Random(1))
    surroundings, doors = ({fault.kind for fault in lane} for lane in (breaker.of_surroundings(), breaker.of_doors()))
    ways = ("cut", "half-open", "latency", "one-way to", "one-way from", "unreachable")
    assert doors == {f"{way} {name}" for way in ways for name in ("api", "receipts", "smpp")}
    assert {f"{way} {name}" for way in ways for name in ("kafka", "postgres", "carrier", "asked")} < surroundings
    assert not surroundings & doors
