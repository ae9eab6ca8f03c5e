"""What became of messages: counted at the carrier and at the endpoint, by reference. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.figures import Spread, quantile, spread


@dataclass
class Asked:
    """One message as its sender knows it. `times` is how often it was asked for, `accepted_at` seconds since 1970 and
    0 for one that nobody accepted, `id` by what its receipt is told."""

    number: str
    times: int = 0
    accepted_at: float = 0.0
    id: str = ""


@dataclass(frozen=True)
class Carried:
    """One message that the carrier took, at which second since 1970."""

    number: str
    at: float


@dataclass(frozen=True)
class Fate:
    """What a kill did to `messages`. Of those accepted, `lost` never came to the carrier and `untold` came there, but
    nobody was told of their receipt. `repeated` came once too often, each extra one counted; for `asked_again` of
    these the sender had no answer and asked a second time."""

    messages: int
    lost: int
    repeated: int
    asked_again: int
    untold: int
    unanswered: int = 0


@dataclass(frozen=True)
class Burst:
    """As much as a system takes from so many senders, until the last receipt was told. `cpu_ms` by part."""

    messages: int
    accepted_per_s: float
    told: int
    told_per_s: float
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True)
class Steady:
    """A rate that every system keeps up: milliseconds from accept to carrier, and CPU by part."""

    messages: int
    carrier_ms: Sequence[float]
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """One life of one system. `killed` is by what was killed."""

    burst: Burst
    steady: Steady
    killed: Mapping[str, Fate]
    proof: str = ""


@dataclass
class Figures:
    """Everything about one system; `left_out` says why there is nothing, or no more."""

    name: str
    durability: str = ""
    servers: Sequence[str] = ()
    runs: list[Run] = field(default_factory=list)
    left_out: str = ""
    broke_off: bool = False


def fate(asked: Sequence[Asked], carried: Sequence[Carried], told: Mapping[str, int]) -> Fate:
    """What became of the messages, given everything the carrier took since and how often each id was told of."""
    arrived = Counter(each.number for each in carried)
    accepted = [each for each in asked if each.accepted_at]
    extra = {each.number: max(arrived[each.number] - 1, 0) for each in asked}
    return Fate(
        messages=len(asked),
        lost=sum(not arrived[each.number] for each in accepted),
        repeated=sum(extra.values()),
        asked_again=sum(min(extra[each.number], each.times - 1) for each in asked if each.times),
        untold=sum(bool(arrived[each.number]) and not told.get(each.id) for each in accepted),
        unanswered=len(asked) - len(accepted),
    )


def latencies_ms(asked: Sequence[Asked], carried: Sequence[Carried]) -> list[float]:
    """Milliseconds from the accepting answer to the first arrival; 0 where the carrier had it before the answer."""
    first: dict[str, float] = {}
    for each in carried:
        first[each.number] = min(each.at, first.get(each.number, each.at))
    return [
        max(first[each.number] - each.accepted_at, 0.0) * 1_000
        for each in asked
        if each.accepted_at and each.number in first
    ]


def cpu_each(cpu_ms: Mapping[str, float], messages: int, names: Sequence[str]) -> float:
    """CPU-ms of these parts for one message."""
    return sum(cpu_ms[name] for name in names) / max(messages, 1)


def rows(figures: Figures) -> dict[str, Spread]:
    """The figures of one system that have a spread, by name."""
    runs = figures.runs
    servers = [name for name in runs[0].burst.cpu_ms if name in figures.servers]
    own = [name for name in runs[0].burst.cpu_ms if name not in figures.servers]
    told = {
        "accepted per s": spread([run.burst.accepted_per_s for run in runs]),
        "told of the receipt per s": spread([run.burst.told_per_s for run in runs]),
        "CPU-ms": spread([cpu_each(run.burst.cpu_ms, run.burst.messages, (*own, *servers)) for run in runs]),
        "CPU-ms own": spread([cpu_each(run.burst.cpu_ms, run.burst.messages, own) for run in runs]),
    }
    for name in servers:
        told[f"CPU-ms {name}"] = spread([cpu_each(run.burst.cpu_ms, run.burst.messages, [name]) for run in runs])
    steady = [cpu_each(run.steady.cpu_ms, run.steady.messages, (*own, *servers)) for run in runs]
    told["CPU-ms at a steady rate"] = spread(steady)
    for part in (50, 99):
        told[f"carrier p{part} ms"] = spread([quantile(run.steady.carrier_ms, part / 100) for run in runs])
    return told


def document(figures: Sequence[Figures], load: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """What is written to .bench/peers.json."""
    return {
        "load": dict(load),
        "host": dict(host),
        "systems": {each.name: _document(each) for each in figures if each.runs},
        "left_out": {each.name: each.left_out for each in figures if each.left_out},
    }


def _document(figures: Figures) -> dict[str, Any]:
    return {
        "durability": figures.durability,
        "runs": len(figures.runs),
        "figures": rows(figures),
        "killed": {what: [run.killed[what] for run in figures.runs] for what in figures.runs[0].killed},
        "receipts_told": [f"{run.burst.told} of {run.burst.messages}" for run in figures.runs],
        "proof": [run.proof for run in figures.runs if run.proof],
    }
