"""`python -m tests.bench.fraud`: our scorer beside public rules over held-out worlds, as a table and plots.

Worlds 1 to 99 were used for tuning; what is quoted comes from worlds from 1001 on, whose seasons, attack parameters
and people nobody looked at, and from families of attacks that no threshold was set by. The report is written anew
whenever a world is done, so that a run that is ended early leaves what it has.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.fraud import report, speed
from tests.bench.fraud.baselines import Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore
from tests.bench.fraud.engines import Watchword
from tests.bench.fraud.figures import Figures, figures, merged
from tests.bench.fraud.season import PLANS, Engine, live, season

HELD_OUT_FIRST = 1_001
WORKERS_MAX = 2
ENGINES: dict[str, Callable[[], Engine]] = {
    "watchword": Watchword,
    "leaky budgets": LeakyBudgets,
    "conversion 35 %": Conversion,
    "six sigma": SixSigma,
    "static velocity": StaticVelocity,
    "weighted score": WeightedScore,
}


def main() -> None:
    """Run, write the report, print how far it is."""
    parser = argparse.ArgumentParser(prog="bench-fraud")
    parser.add_argument("--seeds", type=int, default=30, help="held-out worlds; 4 is the short form")
    parser.add_argument("--first", type=int, default=HELD_OUT_FIRST, help="the first world; tuning worlds are 1 to 99")
    parser.add_argument("--seasons", default=",".join(PLANS), help="which seasons, separated by commas")
    parser.add_argument("--engines", default=",".join(ENGINES), help="which engines, separated by commas")
    parser.add_argument("--workers", type=int, default=WORKERS_MAX, choices=(1, 2))
    parser.add_argument("--report", type=Path, default=Path(__file__).with_name("report"))
    chosen = parser.parse_args()
    engines, seasons = tuple(chosen.engines.split(",")), tuple(chosen.seasons.split(","))
    fast = speed.told(speed.measure())
    print(fast, flush=True)  # noqa: T201
    jobs = [(seed, name, engines) for seed in range(chosen.first, chosen.first + chosen.seeds) for name in seasons]
    measured: list[dict[str, Figures]] = []
    with ProcessPoolExecutor(chosen.workers) as pool:
        for (seed, name, _), found in zip(jobs, pool.map(measure, jobs), strict=True):
            measured.append(found)
            print(f"world {seed}: {name}", flush=True)  # noqa: T201
            if name == seasons[-1]:
                worlds = range(chosen.first, seed + 1)
                report.write(chosen.report, merged(measured), report.Run(engines, seasons, worlds, fast))


def measure(job: tuple[int, str, tuple[str, ...]]) -> dict[str, Figures]:
    """One season of one world with every engine: figures by name, a list each."""
    seed, name, engines = job
    found: dict[str, Figures] = {}
    for engine_name in engines:
        engine = Timed(ENGINES[engine_name]())
        made = season(seed, name)
        found[engine_name] = figures(made, list(live(made, engine, seed)))
        found[engine_name]["decision µs, median"] = [statistics.median(engine.micros)]
        found[engine_name]["decision µs, p99"] = [statistics.quantiles(engine.micros, n=100)[98]]
    return found


class Timed:
    """An engine with a watch: what deciding costs, of every twentieth request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._count = 0
        self.micros: list[float] = []
        self.tell = engine.tell

    def request(self, ask: report.Ask) -> tuple[str, float, str]:
        self._count += 1
        if self._count % 20:
            return self._engine.request(ask)
        started = time.thread_time()
        answer = self._engine.request(ask)
        self.micros.append((time.thread_time() - started) * 1e6)
        return answer


if __name__ == "__main__":
    main()
