"""`python -m tests.bench.fraud.speed`: how many decisions the pure model takes a second on one core, and what it holds.

A decision holds what it counts: the levels looked up, the score, and the send weighed under all its features. What
became of it (codes, receipts) is measured beside it. Numbers are understood beforehand, as intake does it.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec

from tests.bench.fraud.engines import line_of
from tests.bench.fraud.season import opening, season
from tests.bench.fraud.traffic import Ask
from tests.bench.fraud.world import world
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.engine import Engine
from watchword.fraud.decide.line import Reading
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.decide.score import Claims
from watchword.fraud.decide.subject import Subject
from watchword.kernel.feature import Kind
from watchword.runtime.process import GC_YOUNG_MAX

REQUESTS = 20_000
PASSES = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """Per second and in microseconds, the least of several passes; bytes of a node in memory and in the changelog."""

    decisions_per_s: float
    decision_p50_us: float
    decision_p99_us: float
    outcome_us: float
    nodes: int
    node_bytes: float
    node_written_bytes: float


def measure(requests: int = REQUESTS, seed: int = 1) -> Speed:
    """Play the last requests of a season with attacks, in order of time, through an engine, `PASSES` times anew: of
    each decision the least counts, for it does the same work every time, and whatever else it took was another
    process's. Memory is settled as in a worker's process."""
    home = world(seed)
    asks = sorted(opening(home).asks + season(home, "bursts").asks, key=lambda ask: ask.at_s)
    reading = Reading()
    prepared = [(ask, *_prepared(reading, ask)) for ask in asks[-requests:]]
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 20, 50)
    decisions, outcomes, engine = _played(prepared)
    for _ in range(PASSES - 1):
        again, told, engine = _played(prepared)
        decisions, outcomes = list(map(min, decisions, again)), list(map(min, outcomes, told))
    nodes = [node for _, node in Random(1).sample(list(engine.memory.nodes().items()), min(len(engine.memory), 2_000))]
    return Speed(
        decisions_per_s=1e6 * len(decisions) / sum(decisions),
        decision_p50_us=statistics.median(decisions),
        decision_p99_us=statistics.quantiles(decisions, n=100)[98],
        outcome_us=statistics.fmean(outcomes),
        nodes=len(engine.memory),
        node_bytes=statistics.fmean(map(_size, nodes)),
        node_written_bytes=statistics.fmean(len(msgspec.msgpack.encode(node)) for node in nodes),
    )


def _played(prepared: list[tuple[Ask, Subject, Claims]]) -> tuple[list[float], list[float], Engine]:
    """The microseconds of each decision and of each outcome, and the engine that made them."""
    engine, decisions, outcomes = Engine(DEFAULT), list[float](), list[float]()
    for ask, about, claims in prepared:
        started = time.perf_counter_ns()
        outcome = engine.request(about, claims, ask.id, ask.at_s)
        decisions.append((time.perf_counter_ns() - started) / 1_000)
        if outcome.action.value == "block":
            continue
        for kind in _fate(ask):
            started = time.perf_counter_ns()
            engine.outcome(about, kind, ask.at_s + 1, 20.0)
            outcomes.append((time.perf_counter_ns() - started) / 1_000)
    return decisions, outcomes, engine


def _prepared(reading: Reading, ask: Ask) -> tuple[Subject, Claims]:
    about, _, number_type = reading.understood(line_of(ask))
    return about, Claims(number_type, True, False, None, 1, known_networks=Kind.ASN in about.features)


def _fate(ask: Ask) -> Iterator[SignalKind]:
    if ask.receipt_s is not None:
        yield SignalKind.DELIVERED
    if ask.verify_s is not None:
        yield SignalKind.VERIFIED


def _size(node: Node) -> int:
    values = [getattr(node, name) for name in Node.__struct_fields__]
    total = sys.getsizeof(node)
    for value in values:
        if (isinstance(value, float | bytes | tuple) and value) or isinstance(value, dict):
            total += sys.getsizeof(value)  # zeros and what is empty are shared
        if isinstance(value, dict):
            total += sum(sys.getsizeof(key) + sys.getsizeof(at) for key, at in value.items())
    return total


def told(speed: Speed) -> str:
    """The figures in one line each."""
    return (
        f"{speed.decisions_per_s:,.0f} decisions/s on one core; {speed.decision_p50_us:.0f} µs median, "
        f"{speed.decision_p99_us:.0f} µs p99; {speed.outcome_us:.0f} µs an outcome; {speed.nodes:,} nodes, "
        f"{speed.node_bytes:.0f} bytes each in memory, {speed.node_written_bytes:.0f} in the changelog"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fraud.speed", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    options = parser.parse_args()
    print(told(measure(options.requests)))  # noqa: T201


if __name__ == "__main__":
    main()
