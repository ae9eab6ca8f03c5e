"""Whether what was sampled again and again stays flat: the last third of a run against the third before it. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GROWTH_MAX = 0.01
MEMORY_SLACK_MIB = 0.5  # one arena of the allocator, of no meaning on a process of 60 MiB
LATENCY_GROWTH_MAX = 0.5
LATENCY_SLACK_MS = 10.0  # what a machine that others use as well does by itself


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: resident memory in MiB, descriptors and tasks of each process, connections to the database, and
    the median of each latency in milliseconds since the moment before."""

    rss_mib: Mapping[str, float]
    descriptors: Mapping[str, int]
    tasks: Mapping[str, int]
    connections: int
    latency_ms: Mapping[str, float]


def thirds(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The middle and the last third; the first one is for warming up. Raises ValueError for fewer than six samples."""
    size = len(samples) // 3
    if size < 2:
        raise ValueError("six samples are the least that can be judged")
    return samples[size : len(samples) - size], samples[-size:]


def growth_of_memory(samples: Sequence[Sample]) -> dict[str, float]:
    """By how much of itself each process grew within the last third: its second half over its first."""
    _, last = thirds(samples)
    half = len(last) // 2
    found = {}
    for name in last[0].rss_mib:
        before = statistics.median(each.rss_mib[name] for each in last[:half])
        after = statistics.median(each.rss_mib[name] for each in last[half:])
        found[name] = (
            max(after - before - MEMORY_SLACK_MIB, 0.0) / before if after > before else (after - before) / before
        )
    return found


def unflat(samples: Sequence[Sample]) -> list[str]:
    """What is not flat, in words; [] where all is."""
    middle, last = thirds(samples)
    told = [
        f"{name} grew by {growth:.1%} in the last third"
        for name, growth in growth_of_memory(samples).items()
        if growth > GROWTH_MAX
    ]
    for what in ("descriptors", "tasks"):
        for name in getattr(last[0], what):
            before = max(getattr(each, what)[name] for each in middle)
            after = min(getattr(each, what)[name] for each in last)
            if after > before:
                told.append(f"{name} has {after} {what} at least, and had {before} at most")
    before, after = max(each.connections for each in middle), min(each.connections for each in last)
    if after > before:
        told.append(f"{after} connections to the database at least, and there were {before} at most")
    for stage in last[0].latency_ms:
        was = statistics.median(each.latency_ms[stage] for each in middle)
        now = statistics.median(each.latency_ms[stage] for each in last)
        if now > was * (1 + LATENCY_GROWTH_MAX) + LATENCY_SLACK_MS:
            told.append(f"{stage} takes {now:.0f} ms, and took {was:.0f} ms")
    return told
