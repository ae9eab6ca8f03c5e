"""What a season comes to, as figures: shares in %, counts of messages, minutes."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from random import Random

from tests.bench.fraud import report
from tests.bench.fraud.attacks import HELD_OUT
from tests.bench.fraud.season import Episode, Lived, Season

# What an attack is rightly blamed for, beside everything that follows from its digits.
CAUSES = {
    "G": {"ip_velocity", "ip_many_countries"},
    "H": {"number_velocity", "sequential_suffix"},
    "I": {"guess_budget"},
    "J": {"guess_budget", "number_velocity", "sequential_suffix"},
}
BY_SOURCES = {"number_velocity", "device_many_numbers", "guess_budget", "too_fast_form"}
BASE_RATE = 0.01
LIFTED_WITHIN_S = 10 * 3_600.0

Figures = dict[str, list[float]]


def figures(made: Season, lived: list[Lived]) -> Figures:
    """All figures of one season."""
    found: Figures = defaultdict(list)
    attacks: dict[str, list[Lived]] = defaultdict(list)
    users: dict[str, list[Lived]] = defaultdict(list)
    for each in lived:
        if is_attack(each):
            attacks[each.ask.label].append(each)
        elif not each.ask.label:
            users[each.ask.stress or "normal"].append(each)
    for stress, group in users.items():
        found[f"users blocked: {stress}"] = [percent(group)]
        found[f"users challenged: {stress}"] = [percent(group, "challenge")]
    for label, group in attacks.items():
        found.update(of_attack(label, group))
        _around(next(each for each in made.episodes if each.name == label), lived, found)
    if attacks:
        _overall(attacks, lived, found)
    return dict(found)


def _overall(attacks: Mapping[str, list[Lived]], lived: list[Lived], found: Figures) -> None:
    """How well scores tell attacks from users, and the cost of all attacks, those nobody set a threshold by apart."""
    found["recall at 0.1 % false positives"] = [recall(lived)]
    found["area under precision and recall at 1 % attacks"] = [precision_area(lived)]
    split: dict[str, list[Lived]] = defaultdict(list)
    for label, group in attacks.items():
        split["held-out" if label in HELD_OUT else "known"] += group
    for name, group in split.items():
        found[f"cost saved, {name} families"] = [saved(group)]


def _around(episode: Episode, lived: list[Lived], found: Figures) -> None:
    """How the users of an attacked country fare, meanwhile and afterwards."""
    there = [each for each in lived if not each.ask.label and each.ask.country == episode.country]
    inside = [each for each in there if episode.start_s <= each.ask.at_s <= episode.end_s]
    if inside:
        found["users blocked: inside the attacked country"].append(percent(inside))
    found["minutes to the last user blocked after an attack"].append(lifted_min(episode, there))


def is_attack(each: Lived) -> bool:
    """Whether a request belongs to an attack; an attack's bait does no harm."""
    return bool(each.ask.label) and not each.ask.label.endswith("bait")


def saved(group: list[Lived], *actions: str) -> float:
    """The share of an attack's cost that was refused."""
    cost = sum(each.ask.price_micros for each in group)
    return 100 * sum(each.ask.price_micros for each in group if each.action in (actions or ("block",))) / cost


def of_attack(label: str, group: list[Lived]) -> Figures:
    """Cost saved, messages before the first block, and whether reasons name what was done."""
    refused = [each for each in group if each.action == "block"]
    leak = next((n for n, each in enumerate(group) if each.action == "block"), len(group))
    found = {
        f"cost saved: {label}": [saved(group)],
        f"cost saved with challenges: {label}": [saved(group, "block", "challenge")],
        f"leaked before the first block: {label}": [float(leak)],
    }
    if refused:
        right = sum(names_cause(label, each.reason) for each in refused)
        found[f"reason names the cause: {label}"] = [100 * right / len(refused)]
    return found


def names_cause(label: str, reason: str) -> bool:
    """Whether a reason is one that the attack gives."""
    return reason in CAUSES[label] if label in CAUSES else bool(reason) and reason not in BY_SOURCES


def lifted_min(episode: Episode, there: list[Lived]) -> float:
    """Minutes from the end of an attack to the last user of its country who is refused, in the ten hours behind it."""
    late = [each.ask.at_s - episode.end_s for each in there if each.action == "block"]
    return max((each for each in late if 0 <= each <= LIFTED_WITHIN_S), default=0.0) / 60


def recall(lived: list[Lived]) -> float:
    """The share of attack requests that score above all but 0.1 % of users' requests, in %."""
    users = sorted((each.score for each in lived if not each.ask.label), reverse=True)
    threshold = users[len(users) // 1_000] if users else 0.0
    bad = [each.score for each in lived if is_attack(each)]
    return 100 * sum(score > threshold for score in bad) / len(bad)


def precision_area(lived: list[Lived]) -> float:
    """Average precision of the score in %, attacks weighed as if they were one request in a hundred."""
    bad = Counter(each.score for each in lived if is_attack(each))
    good = Counter(each.score for each in lived if not each.ask.label)
    users, attacks = max(good.total(), 1), bad.total()
    true = false = area = 0.0
    for score in sorted(bad | good, reverse=True):
        share = bad[score] / attacks
        true += BASE_RATE * share
        false += (1 - BASE_RATE) * good[score] / users
        area += share * true / (true + false)
    return 100 * area


def percent(group: list[Lived], action: str = "block") -> float:
    """The share of requests that met an action, in %."""
    return 100 * Counter(each.action for each in group)[action] / len(group)


def merged(measured: list[dict[str, Figures]]) -> report.Found:
    """Every figure by name and engine, over all seasons that have it."""
    gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for season_of in measured:
        for engine, found in season_of.items():
            for name, values in found.items():
                gathered[name][engine] += values
    return {name: {engine: summary(values) for engine, values in by.items()} for name, by in gathered.items()}


def summary(values: list[float]) -> report.Summary:
    """Median and mean of a figure, with the 95 % bootstrap interval of the median; seeded."""
    random = Random(len(values))
    medians = sorted(statistics.median(random.choices(values, k=len(values))) for _ in range(400))
    return report.Summary(statistics.median(values), statistics.fmean(values), medians[10], medians[389], len(values))
