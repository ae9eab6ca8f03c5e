"""`python -m tests.bench.fraud`: our scorer beside public rules over held-out worlds, as a table and plots.

Worlds 1 to 99 were used for tuning; what is quoted comes from worlds from 1001 on, whose seasons, attack parameters
and people nobody looked at, and from families of attacks that no threshold was set by. The report is written anew
whenever a world is done, so that a run that is ended early leaves what it has, and one that is begun again goes on.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path

from tests.bench.fraud import report, speed
from tests.bench.fraud.baselines import Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore
from tests.bench.fraud.engines import Watchword
from tests.bench.fraud.figures import Figures, figures, merged
from tests.bench.fraud.report import HELD_OUT_FIRST, OURS
from tests.bench.fraud.season import PLANS, Engine, live, season
from watchword.fraud.decide import score

WORKERS_MAX = 2
KEPT = Path(".bench/fraud")
Job = tuple[int, str, tuple[str, ...]]
ENGINES: dict[str, Callable[[], Engine]] = {
    OURS: Watchword,
    f"{OURS} as live": partial(Watchword, as_live=True),
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
    if chosen.first < HELD_OUT_FIRST and chosen.report == parser.get_default("report"):
        parser.error("what was tuned on is no claim: a world below 1001 needs a --report of its own")
    engines, seasons = tuple(chosen.engines.split(",")), tuple(chosen.seasons.split(","))
    fast = speed.told(speed.measure())
    print(fast, flush=True)  # noqa: T201
    jobs = [(seed, name, engines) for seed in range(chosen.first, chosen.first + chosen.seeds) for name in seasons]
    kept = Kept(KEPT / f"{fingerprint()}.jsonl")
    measured: list[dict[str, Figures]] = []
    with ProcessPoolExecutor(chosen.workers) as pool:
        for (seed, name, _), found in zip(jobs, kept.measured(jobs, pool), strict=True):
            measured.append(found)
            print(f"world {seed}: {name}", flush=True)  # noqa: T201
            if name == seasons[-1]:
                worlds = range(chosen.first, seed + 1)
                report.write(chosen.report, merged(measured), report.Run(engines, seasons, worlds, fast))


class Kept:
    """What was measured by this very code, a line a season, so that a run that was ended goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._known = {tuple(key): found for key, found in map(json.loads, lines)}

    def measured(self, jobs: list[Job], pool: Executor) -> Iterator[dict[str, Figures]]:
        """The figures of every job, in order: those that are known, the others as they are done."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        found = pool.map(measure, [job for job in jobs if _key(job) not in self._known])
        for job in jobs:
            key = _key(job)
            if key not in self._known:
                self._known[key] = next(found)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, self._known[key]]) + "\n")
            yield self._known[key]


def _key(job: Job) -> tuple[str, str, str]:
    seed, name, engines = job
    return str(seed), name, ",".join(engines)


def fingerprint() -> str:
    """A digest of the model and of this benchmark: figures of other code are never mixed with its own."""
    digest = blake2b(digest_size=8)
    for folder in (Path(__file__).parent, Path(score.__file__).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def measure(job: Job) -> dict[str, Figures]:
    """One season of one world with every engine: figures by name, a list each."""
    seed, name, engines = job
    found: dict[str, Figures] = {}
    made = season(seed, name)
    for engine_name in engines:
        engine = Timed(ENGINES[engine_name]())
        if made.movers:
            made = season(seed, name)  # who moves on after a refusal moved on in this one
        found[engine_name] = figures(made, list(live(made, engine, seed)), explains=engine_name.startswith(OURS))
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
