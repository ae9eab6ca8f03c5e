"""`make simulate`: histories for some minutes, half of the processes from seeds, one invented by hypothesis. The first
history that breaks a promise is told line by line, with the seed that brings it back."""

import argparse
import gc
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.histories import play
from tests.simulation.machine import Machine

_COLLECT_EVERY = 20
_INVENTED = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def main() -> int:
    """0 if every promise held."""
    asked = _arguments()
    if asked.seed is not None:
        told = play(asked.seed, verbose=True)
        print("\n".join(told.log))
        print(told if told.broken else f"seed {asked.seed} keeps every promise")
        return 1 if told.broken else 0
    began = time.monotonic()
    base = int.from_bytes(os.urandom(4)) << 8
    until = began + asked.minutes * 60
    workers = max(asked.workers, 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        seeded = [pool.submit(_from_seeds, base + number, workers, until) for number in range(max(workers - 1, 1))]
        invented = pool.submit(_invented, until) if workers > 1 else None
        played = [each.result() for each in [*seeded, *([invented] if invented is not None else [])]]
    found = [each.found for each in played if each.found]
    for each in found:
        print(each)
    count = sum(each.count for each in played)
    others = invented.result().count if invented is not None else 0
    wall_m, cpu_m = (time.monotonic() - began) / 60, sum(each.cpu_s for each in played) / 60
    print(f"{count - others} histories from seeds and {others} invented ones: {count / wall_m:,.0f} a minute, ", end="")
    print(f"{count / cpu_m:,.0f} a minute of CPU")
    return 1 if found else 0


@dataclass(frozen=True, slots=True)
class Played:
    """What one process came to: how many histories in how much CPU, and the one that broke a promise, if one did."""

    count: int
    cpu_s: float
    found: str = ""


def _from_seeds(first: int, step: int, until: float) -> Played:
    gc.disable()
    gc.freeze()  # what was imported stays
    count, seed = 0, first
    while time.monotonic() < until:
        told = play(seed)
        count += 1
        if told.broken:
            return Played(count, time.process_time(), str(told))
        if count % _COLLECT_EVERY == 0:
            gc.collect()
        seed += step
    return Played(count, time.process_time())


def _invented(until: float) -> Played:
    try:
        while time.monotonic() < until:
            run_state_machine_as_test(Machine, settings=_INVENTED)
    except AssertionError as error:
        found = "\n".join([str(error), *getattr(error, "__notes__", ())])
        return Played(Machine.played, time.process_time(), found)
    return Played(Machine.played, time.process_time())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--seed", type=int, help="play one history and tell it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
