"""What a season comes to, as figures: shares in %, counts of messages, minutes."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tests.bench.fraud import report
from tests.bench.fraud.attacks import HELD_OUT
from tests.bench.fraud.causes import names_cause
from tests.bench.fraud.season import Episode, Lived, Season
from tests.bench.fraud.world import World

BASE_RATE = 0.01
LIFTED_WITHIN_S = 10 * 3_600.0

Figures = dict[str, list[float]]


def figures(made: Season, lived: list[Lived], *, explains: bool = True) -> Figures:
    """All figures of one season; whether reasons name causes only of an engine that `explains`, by several reasons."""
    found: Figures = defaultdict(list)
    attacks: dict[str, list[Lived]] = defaultdict(list)
    users: dict[str, list[Lived]] = defaultdict(list)
    for each in lived:
        if is_attack(each):
            attacks[each.ask.label].append(each)
        elif not each.ask.label:
            users[each.ask.stress or "normal"].append(each)
    for stress, group in users.items():
        found.update(of_users(stress, group))
    for label, group in attacks.items():
        found.update(of_attack(label, group))
        episode = next(each for each in made.episodes if each.name == label)
        if explains:
            found.update(of_reasons(label, group, _conversion(made.world, episode.country)))
        _around(episode, lived, found)
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
        for name, values in of_users("inside the attacked country", inside).items():
            found[name] += values
    found["minutes to the last user blocked after an attack"].append(lifted_min(episode, there))


def is_attack(each: Lived) -> bool:
    """Whether a request belongs to an attack; an attack's bait does no harm."""
    return bool(each.ask.label) and not each.ask.label.endswith("bait")


def saved(group: list[Lived], *actions: str) -> float:
    """The share of an attack's cost that was refused."""
    cost = sum(each.ask.price_micros for each in group)
    return 100 * sum(each.ask.price_micros for each in group if each.action in (actions or ("block",))) / cost


def of_attack(label: str, group: list[Lived]) -> Figures:
    """Cost saved, and messages before the first block."""
    leak = next((n for n, each in enumerate(group) if each.action == "block"), len(group))
    return {
        f"cost saved: {label}": [saved(group)],
        f"cost saved with challenges: {label}": [saved(group, "block", "challenge")],
        f"leaked before the first block: {label}": [float(leak)],
    }


def _conversion(home: World, code: str) -> float:
    """The share of their codes that the users of a country type in; 0 where none live."""
    return next((each.conversion for each in home.countries if each.code == code), 0.0)


def of_reasons(label: str, group: list[Lived], conversion: float) -> Figures:
    """How often the weightiest reason of a refusal names what the attack did, where users type in `conversion` of their
    codes; nothing where nothing was refused."""
    refused = [each for each in group if each.action == "block"]
    if not refused:
        return {}
    right = sum(names_cause(label, each.reason, conversion) for each in refused)
    return {f"reason names the cause: {label}": [100 * right / len(refused)]}


def of_users(stress: str, group: list[Lived]) -> Figures:
    """What share of users' requests was refused or challenged, and what share of those who asked met that even once."""
    return {
        f"requests blocked: {stress}": [percent(group)],
        f"requests challenged: {stress}": [percent(group, "challenge")],
        f"users blocked: {stress}": [persons_percent(group)],
        f"users challenged: {stress}": [persons_percent(group, "challenge")],
    }


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


def persons_percent(group: list[Lived], action: str = "block") -> float:
    """The share of persons, one a number, of whom at least one request met an action, in %."""
    met = {each.ask.to for each in group if each.action == action}
    return 100 * len(met) / len({each.ask.to for each in group})


def merged(measured: list[dict[str, Figures]]) -> report.Found:
    """Every figure by name and engine, over all seasons that have it."""
    gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for season_of in measured:
        for engine, found in season_of.items():
            for name, values in found.items():
                gathered[name][engine] += values
    return {name: {engine: summary(values) for engine, values in by.items()} for name, by in gathered.items()}


def summary(values: list[float]) -> report.Summary:
    """Median and mean of a figure, each with its 95 % bootstrap interval; seeded."""
    random = Random(len(values))
    drawn = [random.choices(values, k=len(values)) for _ in range(400)]
    medians, means = interval(drawn, statistics.median), interval(drawn, statistics.fmean)
    return report.Summary(statistics.median(values), statistics.fmean(values), *medians, len(values), *means)


def interval(drawn: list[list[float]], of: Callable[[Sequence[float]], float]) -> tuple[float, float]:
    """The middle 95 % of what drawing the same worlds again and again comes to."""
    found = sorted(map(of, drawn))
    cut = len(found) // 40
    return found[cut], found[-1 - cut]
