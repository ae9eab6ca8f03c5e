"""`python -m tests.bench.fraud`: our scorer beside public rules over held-out worlds, as a table and plots.

Worlds 1 to 99 were used for tuning; what is quoted comes from worlds from 1001 on, whose seasons, attack parameters
and people nobody looked at, and from families of attacks that no threshold was set by. The report is written anew
whenever a world is done, so that a run that is ended early leaves what it has, and one that is begun again goes on.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.fraud import report, speed
from tests.bench.fraud.figures import Figures, merged
from tests.bench.fraud.measured import ENGINES, KEPT, Kept, fingerprint, measure
from tests.bench.fraud.report import AT_ONCE, HELD_OUT_FIRST
from tests.bench.fraud.season import PLANS

WORKERS_MAX = 2
USUAL = tuple(name for name in ENGINES if name != AT_ONCE)


def main() -> None:
    """Run, write the report, print how far it is."""
    chosen = _arguments()
    engines, seasons = tuple(chosen.engines.split(",")), tuple(chosen.seasons.split(","))
    worlds = range(chosen.first, chosen.first + chosen.seeds)
    fast = speed.told(speed.measure())
    print(fast, flush=True)  # noqa: T201
    kept = Kept(KEPT / f"{fingerprint()}.jsonl")
    measured: list[dict[str, Figures]] = []
    for seed in done(worlds, engines, seasons, kept, chosen.workers):
        measured += [{engine: kept.known[seed, name, engine] for engine in engines} for name in seasons]
        run = report.Run(engines, seasons, range(worlds[0], seed + 1), fast)
        report.write(chosen.report, merged(measured), run)
        print(f"world {seed}", flush=True)  # noqa: T201


def done(worlds: range, engines: tuple[str, ...], seasons: tuple[str, ...], kept: Kept, workers: int) -> Iterator[int]:
    """Every world in turn once all of it is kept; what was kept before is not measured again."""
    pairs = [(name, engine) for name in seasons for engine in engines]
    missing = {seed: [pair for pair in pairs if (seed, *pair) not in kept.known] for seed in worlds}
    with ProcessPoolExecutor(workers) as pool:
        wanted = [seed for seed in worlds if missing[seed]]
        found = pool.map(measure, wanted, [missing[seed] for seed in wanted])
        for seed in worlds:
            for key, told in next(found) if missing[seed] else ():
                kept.keep(key, told)
            yield seed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-fraud")
    parser.add_argument("--seeds", type=int, default=30, help="held-out worlds; 4 is the short form")
    parser.add_argument("--first", type=int, default=HELD_OUT_FIRST, help="the first world; tuning worlds are 1 to 99")
    parser.add_argument("--seasons", default=",".join(PLANS), help="which seasons, separated by commas")
    parser.add_argument("--engines", default=",".join(USUAL), help=f"which engines, with commas; also {AT_ONCE}")
    parser.add_argument("--workers", type=int, default=WORKERS_MAX, choices=(1, 2))
    parser.add_argument("--report", type=Path, default=Path(__file__).with_name("report"))
    chosen = parser.parse_args()
    if chosen.first < HELD_OUT_FIRST and chosen.report == parser.get_default("report"):
        parser.error("what was tuned on is no claim: a world below 1001 needs a --report of its own")
    return chosen


if __name__ == "__main__":
    main()
