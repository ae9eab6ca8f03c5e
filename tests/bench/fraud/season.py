"""A season: some days of people, then episodes of stress or attack; and how one is lived through with an engine whose
decisions change what follows.

The days before are the same in all seasons of a world, its opening: it is lived through once an engine, and every
season goes on from there. Only a season whose plan begins before that has an opening of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Protocol

from tests.bench.fraud.attacks import FAMILIES, Attack, Attacker, Mover
from tests.bench.fraud.traffic import CROWDS, Ask, Names, Stress, launch, people
from tests.bench.fraud.world import COSTLY, DAY_S, START_S, World, country

WARM_S = 3 * DAY_S
HOUR_S = 3_600.0
PASSES_CHALLENGE = 0.9


@dataclass(frozen=True)
class Episode:
    """An attack or a stress of a season, from `start_s` to `end_s`, in `country` ("" for everywhere)."""

    name: str
    country: str
    start_s: float
    end_s: float


@dataclass
class Season:
    """Everything that is asked, in any order, and the episodes. One that `follows` the opening has none of its own."""

    world: World
    name: str
    asks: list[Ask]
    episodes: list[Episode]
    movers: dict[str, Mover] = field(default_factory=dict)
    follows: bool = True


# name → episodes: an attack family ("F60": faked 60 %), or a stress; hours after the warm days at which each begins.
PLANS: dict[str, tuple[tuple[str, float], ...]] = {
    "bursts": (("A", 2), ("B", 10), ("G", 18), ("H", 26)),
    "spread": (("C", 2), ("L", 14), ("M", 26)),
    "drip": (("D", 2),),
    "hidden": (("E", 2), ("N", 26)),
    "faked": (("F20", 2), ("F60", 14), ("F95", 26)),
    "guessed": (("I", 2), ("J", 8)),
    "mixed": (("O", 2), ("P", 16), ("K", 26)),
    "crowds": (("flash", 2), ("launch", 12), ("campus", 20), ("bug", 26)),
    "failures": (("outage", 6), ("holiday", 24)),
    "unchecked": (("unchecked", -73),),
    "cold": (("A", -71),),
    "quiet": (),
}
_STRESS_HOURS = {
    "flash": 3.0,
    "launch": 6.0,
    "campus": 2.0,
    "bug": 3.0,
    "outage": 3.0,
    "holiday": 14.0,
    "unchecked": 120.0,
}


def opening(home: World) -> Season:
    """The days of people alone that all seasons of a world follow."""
    made = Season(home, "opening", [], [], follows=False)
    made.asks += people(home, START_S, START_S + WARM_S, (), Random(f"opening {home.seed}"))
    return made


def season(home: World, name: str) -> Season:
    """The season `name` of a world."""
    random, plan = Random(f"season {home.seed} {name}"), PLANS[name]
    end_s = START_S + WARM_S + (max((at for _, at in plan), default=0) + 14) * HOUR_S
    if name == "drip":
        end_s += 66 * HOUR_S
    made = Season(home, name, [], [], follows=all(at >= 0 for _, at in plan))
    stresses = []
    for word, at_h in plan:
        start_s = START_S + WARM_S + at_h * HOUR_S + random.random() * HOUR_S
        if word in _STRESS_HOURS:
            stresses.append(_stress(made, word, start_s, random))
        else:
            _attack(made, word, start_s, random)
    begin_s = START_S + WARM_S if made.follows else START_S
    made.asks += people(home, begin_s, end_s, tuple(stresses), random, names=Names(f"{name}-"))
    return made


def _stress(made: Season, word: str, start_s: float, random: Random) -> Stress:
    where = random.choice(made.world.countries[:7]).code if word in ("outage", "campus") else ""
    if word == "flash" and random.random() < 0.5:
        where = random.choice(made.world.countries[:7]).code
    stress = Stress(word, start_s, start_s + _STRESS_HOURS[word] * HOUR_S, where)
    if word == "launch":
        free = [code for code in COSTLY if code not in {each.code for each in made.world.countries}]
        opened = country(random.choice(free), random.choice((5, 20, 120)), random)
        stress = Stress(word, stress.start_s, stress.end_s, opened.code)
        made.asks += launch(made.world, stress, random, where=opened)
    if word in CROWDS:
        made.asks += CROWDS[word](made.world, stress, random)
    made.episodes.append(Episode(word, stress.country, stress.start_s, stress.end_s))
    return stress


def _attack(made: Season, word: str, start_s: float, random: Random) -> None:
    busy = word in ("E", "I", "J", "K", "O")
    where = random.choice(made.world.countries[:4] if busy else made.world.countries)
    if word == "L":
        free = [code for code in COSTLY if code not in {each.code for each in made.world.countries}]
        where = country(random.choice(free), 120, random)
    attack = Attack(word[0], where, start_s, faked=int(word[1:] or 0) / 100)
    asks = list(FAMILIES[word[0]](attack, Attacker(made.world, attack, random), random))
    if word == "M":
        made.movers["M"] = Mover(where, random)
    made.asks += asks
    made.episodes.append(Episode(word, where.code, start_s, max(each.at_s for each in asks)))


class Engine(Protocol):
    """What a season asks of an engine. It sees only what has happened by then."""

    def request(self, ask: Ask) -> tuple[str, float, str]:
        """The action, the score and the weightiest reason for one request."""
        ...

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        """What became of a request that was let through: verified, wrong, delivered, good or bad."""
        ...


@dataclass(slots=True)
class Lived:
    """One request as it went."""

    ask: Ask
    action: str
    score: float
    reason: str
    passed: bool


class Life:
    """What an engine lives through: what it refuses never happens, and attackers notice."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.lived: list[Lived] = []
        self._engine = engine
        self._luck = Random(f"challenge {seed}")
        self._queue: list[tuple[float, int, str, Ask]] = []
        self._number = 0
        self._movers: dict[str, Mover] = {}

    def live(self, made: Season, until_s: float = inf) -> None:
        """Live on through a season, until nothing is left to happen before `until_s`."""
        self._movers = made.movers
        for ask in made.asks:
            self._expect(ask.at_s, "request", ask)
        queue = self._queue
        while queue and queue[0][0] < until_s:
            at_s, _, kind, ask = heappop(queue)
            if kind == "request":
                self._request(at_s, ask)
            else:
                self._engine.tell(kind, at_s, ask)

    def _request(self, at_s: float, ask: Ask) -> None:
        mover = self._movers.get(ask.label)
        if mover:
            ask.to = mover.number()
        action, score, reason = self._engine.request(ask)
        passes = action in ("allow", "delay") or (
            action == "challenge" and not ask.label and self._luck.random() < PASSES_CHALLENGE
        )
        self.lived.append(Lived(ask, action, score, reason, passes))
        if mover and action == "block":
            mover.refused()
        for what, after_s in _fate(ask) if passes else ():
            self._expect(at_s + after_s, what, ask)
        if ask.again is not None:
            self._expect(ask.again.at_s, "request", ask.again)

    def _expect(self, at_s: float, kind: str, ask: Ask) -> None:
        self._number += 1
        heappush(self._queue, (at_s, self._number, kind, ask))


def _fate(ask: Ask) -> Iterator[tuple[str, float]]:
    if ask.receipt_s is not None:
        yield "delivered", ask.receipt_s
    for n in range(ask.wrong):
        yield "wrong", 6.0 + 4 * n
    if ask.verify_s is not None:
        yield "verified", ask.verify_s + 8.0 * ask.wrong
        if ask.good is not None:
            yield "good" if ask.good else "bad", ask.good_s + 8.0 * ask.wrong
