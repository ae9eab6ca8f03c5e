"""`python -m tests.bench.fraud`: our scorer beside public rules over held-out worlds, as a table and plots.

Worlds 1 to 99 were used for tuning; what is quoted comes from worlds from 1001 on, whose seasons, attack parameters
and people nobody looked at. `--seeds 4` is the short form.
"""

import argparse
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from tests.bench.fraud import report
from tests.bench.fraud.baselines import Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore
from tests.bench.fraud.engines import Watchword
from tests.bench.fraud.season import PLANS, Engine, Lived, Season, live, season

HELD_OUT_FIRST = 1_001
HOUR_S = 3_600.0
WORKERS_MAX = 2
ENGINES: dict[str, Callable[[], Engine]] = {
    "watchword": Watchword,
    "leaky budgets": LeakyBudgets,
    "conversion 35 %": Conversion,
    "six sigma": SixSigma,
    "static velocity": StaticVelocity,
    "weighted score": WeightedScore,
}
# What an attack is rightly blamed for, beside everything that follows from its digits.
CAUSES = {
    "G": {"ip_velocity", "ip_many_countries"},
    "H": {"number_velocity", "sequential_suffix"},
    "I": {"guess_budget"},
    "J": {"guess_budget", "number_velocity", "sequential_suffix"},
}
BY_SOURCES = {"number_velocity", "device_many_numbers", "guess_budget", "too_fast_form"}

Figures = dict[str, list[float]]


def main() -> None:
    """Run, print, write the report."""
    parser = argparse.ArgumentParser(prog="bench-fraud")
    parser.add_argument("--seeds", type=int, default=30, help="held-out worlds; 4 is the short form")
    parser.add_argument("--seasons", default=",".join(PLANS), help="which seasons, separated by commas")
    parser.add_argument("--engines", default=",".join(ENGINES), help="which engines, separated by commas")
    parser.add_argument("--workers", type=int, default=WORKERS_MAX, choices=(1, 2))
    parser.add_argument("--report", type=Path, default=Path(__file__).with_name("report"))
    chosen = parser.parse_args()
    seeds = range(HELD_OUT_FIRST, HELD_OUT_FIRST + chosen.seeds)
    jobs = [(seed, name, tuple(chosen.engines.split(","))) for seed in seeds for name in chosen.seasons.split(",")]
    with ProcessPoolExecutor(chosen.workers) as pool:
        measured = list(pool.map(measure, jobs))
    report.write(chosen.report, merged(measured), tuple(chosen.engines.split(",")), len(seeds))


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


def figures(made: Season, lived: list[Lived]) -> Figures:
    """What one season comes to: shares in %, counts of messages, minutes."""
    found: Figures = defaultdict(list)
    attacks: dict[str, list[Lived]] = defaultdict(list)
    users: dict[str, list[Lived]] = defaultdict(list)
    for each in lived:
        if each.ask.label and not each.ask.label.endswith("bait"):
            attacks[each.ask.label].append(each)
        elif not each.ask.label:
            users[each.ask.stress or "normal"].append(each)
    for stress, group in users.items():
        found[f"users blocked: {stress}"] = [percent(group)]
        found[f"users challenged: {stress}"] = [percent(group, "challenge")]
    for label, group in attacks.items():
        found |= of_attack(label, group)
        [episode] = [each for each in made.episodes if each.name == label]
        inside = [
            each
            for each in lived
            if not each.ask.label
            and each.ask.country == episode.country
            and episode.start_s <= each.ask.at_s <= episode.end_s
        ]
        if inside:
            found.setdefault("users blocked: inside the attacked country", []).append(percent(inside))
    if attacks:
        found["recall at 0.1 % false positives"] = [recall(lived)]
    return dict(found)


def of_attack(label: str, group: list[Lived]) -> Figures:
    """Cost saved, messages before the first block, and whether reasons name what was done."""
    cost = sum(each.ask.price_micros for each in group)
    refused = [each for each in group if each.action == "block"]
    stopped = [each for each in group if each.action in ("block", "challenge")]
    leak = next((n for n, each in enumerate(group) if each.action == "block"), len(group))
    found = {
        f"cost saved: {label}": [100 * sum(each.ask.price_micros for each in refused) / cost],
        f"cost saved with challenges: {label}": [100 * sum(each.ask.price_micros for each in stopped) / cost],
        f"leaked before the first block: {label}": [float(leak)],
    }
    if refused:
        right = sum(names_cause(label, each.reason) for each in refused)
        found[f"reason names the cause: {label}"] = [100 * right / len(refused)]
    return found


def names_cause(label: str, reason: str) -> bool:
    """Whether a reason is one that the attack gives."""
    return reason in CAUSES[label] if label in CAUSES else bool(reason) and reason not in BY_SOURCES


def recall(lived: list[Lived]) -> float:
    """The share of attack requests that score above all but 0.1 % of users' requests, in %."""
    users = sorted((each.score for each in lived if not each.ask.label), reverse=True)
    threshold = users[len(users) // 1_000] if users else 0.0
    bad = [each.score for each in lived if each.ask.label and not each.ask.label.endswith("bait")]
    return 100 * sum(score > threshold for score in bad) / len(bad)


def percent(group: list[Lived], action: str = "block") -> float:
    return 100 * Counter(each.action for each in group)[action] / len(group)


def merged(measured: list[dict[str, Figures]]) -> dict[str, dict[str, report.Summary]]:
    """Median and the 95 % bootstrap interval of every figure, by figure and engine."""
    gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for season_of in measured:
        for engine, found in season_of.items():
            for name, values in found.items():
                gathered[name][engine] += values
    return {name: {engine: summary(values) for engine, values in by.items()} for name, by in gathered.items()}


def summary(values: list[float]) -> report.Summary:
    """Median and mean of a figure over worlds, with the interval of the median; seeded."""
    random = Random(len(values))
    medians = sorted(statistics.median(random.choices(values, k=len(values))) for _ in range(400))
    return report.Summary(statistics.median(values), statistics.fmean(values), medians[10], medians[389], len(values))


if __name__ == "__main__":
    main()
