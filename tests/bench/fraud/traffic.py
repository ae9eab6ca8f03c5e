"""What people ask for, and what would become of it: every draw is made beforehand, so that all engines meet the same
people with the same luck. Benign stresses are here too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from tests.bench.fraud.world import DAY_S, Country, Person, World, person, rhythm


@dataclass(slots=True)
class Ask:
    """One request as it is made, with its fate if it is let through. `label` is the attack it belongs to, "" for a
    user's; `stress` the benign stress it came in. `verify_s` None: the code is never typed. `again` is what the same
    person asks for next if it is not."""

    at_s: float
    id: str
    tenant: str
    to: str
    country: str
    ip: str | None
    device: str | None
    price_micros: int
    label: str = ""
    stress: str = ""
    verify_s: float | None = None
    receipt_s: float | None = None
    wrong: int = 0
    good: bool | None = None
    good_s: float = 0.0
    again: "Ask | None" = None


@dataclass(frozen=True)
class Stress:
    """A benign stress from `start_s` to `end_s`, in one country or, with "", in all."""

    name: str
    start_s: float
    end_s: float
    country: str = ""

    def covers(self, at_s: float, country: str) -> bool:
        return self.start_s <= at_s < self.end_s and self.country in ("", country)


class Names:
    """Ids of requests, in the order they are thought of."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count()

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"


def people(
    world: World, start_s: float, end_s: float, stresses: tuple[Stress, ...], random: Random, names: Names | None = None
) -> Iterator[Ask]:
    """The requests of ordinary people between two moments, in order of time."""
    names = names or Names("u")
    peak = world.requests_per_day / DAY_S * 2.2
    at_s = start_s
    while True:
        at_s += random.expovariate(peak)
        if at_s >= end_s:
            return
        if random.random() * 2.2 < rhythm(at_s):
            yield ask(world, world.someone(random), at_s, random, names, stresses)


def ask(
    world: World, who: Person, at_s: float, random: Random, names: Names, stresses: tuple[Stress, ...] = (),
    *, tries: int = 1,
) -> Ask:  # fmt: skip
    """One request of a person, with its fate and, where it fails, up to three more tries."""
    home = who.country
    stress = next((each for each in stresses if each.covers(at_s, home.code)), None)
    conversion = 0.03 if stress and stress.name == "outage" else home.conversion
    conversion = 0.0 if stress and stress.name == "unchecked" else conversion
    verified = random.random() < conversion
    delay = random.lognormvariate(0, home.delay_spread) * home.delay_median_s
    arrives = random.random() < (0.05 if stress and stress.name == "outage" else home.receipts)
    good = verified and random.random() < world.feedback
    made = Ask(
        at_s=at_s,
        id=names(),
        tenant=random.choice(world.tenants),
        to=who.number,
        country=home.code,
        ip=who.ip,
        device=who.device,
        price_micros=home.price_micros,
        stress=stress.name if stress else "",
        verify_s=delay if verified else None,
        receipt_s=random.lognormvariate(1.4, 0.6) if arrives else None,
        wrong=1 if random.random() < 0.03 else 0,
        good=True if good else None,
        good_s=delay + random.uniform(5, 300),
    )
    eager = 0.8 if stress and stress.name == "bug" else 0.45
    most = 9 if stress and stress.name == "bug" else 4
    if not verified and tries < most and random.random() < eager:
        gap = random.uniform(4, 15) if stress and stress.name == "bug" else random.uniform(35, 120)
        again = ask(world, who, at_s + gap, random, names, stresses, tries=tries + 1)
        made.again = replace(again, tenant=made.tenant)
    return made


def flash_sale(world: World, stress: Stress, random: Random) -> Iterator[Ask]:
    """Seven times the usual traffic on top of it, in one country or everywhere."""
    yield from _crowd(world, stress, random, times=7.0)


def holiday(world: World, stress: Stress, random: Random) -> Iterator[Ask]:
    """One and a half times the usual traffic on top, all day."""
    yield from _crowd(world, stress, random, times=1.5)


def launch(world: World, stress: Stress, random: Random, *, where: Country, per_hour: float = 240.0) -> Iterator[Ask]:
    """A country nobody lived in opens: new people only."""
    names = Names(f"{stress.name}-")
    for at_s in _moments(stress, per_hour / 3_600, random):
        yield ask(world, person(where, random, has_devices=world.has_devices), at_s, random, names, (stress,))


def campus(world: World, stress: Stress, random: Random) -> Iterator[Ask]:
    """Hundreds of people behind one address within two hours, most of them new."""
    names = Names(f"{stress.name}-")
    home = world.country(stress.country)
    ip = f"{home.networks[0]}.77.7"
    for at_s in _moments(stress, 0.05, random):
        yield ask(
            world, replace(person(home, random, has_devices=world.has_devices), ip=ip), at_s, random, names, (stress,)
        )


def _crowd(world: World, stress: Stress, random: Random, *, times: float) -> Iterator[Ask]:
    names = Names(f"{stress.name}-")
    locals_ = [each for each in world.people if stress.country in ("", each.country.code)]
    share = len(locals_) / len(world.people)
    for at_s in _moments(stress, world.requests_per_day / DAY_S * times * share, random):
        who = random.choice(locals_)
        if random.random() < 0.3:
            who = person(who.country, random, has_devices=world.has_devices)
        yield ask(world, who, at_s, random, names, (stress,))


def _moments(stress: Stress, per_s: float, random: Random) -> Iterator[float]:
    at_s = stress.start_s
    while (at_s := at_s + random.expovariate(per_s)) < stress.end_s:
        if random.random() * 2.2 < rhythm(at_s) * 2.2 or stress.name != "holiday":
            yield at_s


Crowd = Callable[[World, Stress, Random], Iterator[Ask]]
CROWDS: dict[str, Crowd] = {"flash": flash_sale, "holiday": holiday, "campus": campus}
