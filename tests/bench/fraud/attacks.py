"""The attacks A to O of the public taxonomy, and P, H through many tenants, as requests with a fate; parameters are
drawn anew for every world."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.bench.fraud.traffic import Ask, Names
from tests.bench.fraud.world import Country, World

HOUR_S = 3_600.0


@dataclass(frozen=True)
class Attack:
    """One attack: its family, its country, when it begins. `faked` is the share of its codes that come back."""

    family: str
    where: Country
    start_s: float
    faked: float = 0.0


class Attacker:
    """Addresses and devices of whoever attacks, and the requests made with them."""

    def __init__(self, world: World, attack: Attack, random: Random) -> None:
        self._world = world
        self._attack = attack
        self._random = random
        self._names = Names(f"{attack.family}{int(attack.faked * 100) or ''}-")
        size = random.choice((40, 150, 600, 5_000))
        self._pool = [_address(random) for _ in range(size)]
        self._devices = random.random() < 0.5
        self.tenant = random.choice(world.tenants)

    def ask(self, at_s: float, to: str, *, ip: str | None = None, where: Country | None = None) -> Ask:
        """One request for a number."""
        random, attack = self._random, self._attack
        typed = random.random() < attack.faked
        home = where or attack.where
        return Ask(
            at_s=at_s,
            id=self._names(),
            tenant=self.tenant,
            to=to,
            country=home.code,
            ip=ip or random.choice(self._pool),
            device=f"x{random.getrandbits(48):x}" if self._devices and self._world.has_devices else None,
            price_micros=home.price_micros,
            label=attack.family if not attack.faked else f"F{int(attack.faked * 100)}",
            verify_s=random.uniform(4, 9) if typed else None,
            receipt_s=random.uniform(1, 4) if random.random() < 0.3 else None,
            good=False if typed and self._world.feedback and random.random() < 0.3 else None,
            good_s=random.uniform(60, 600),
        )


def block_burst(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """A: one block of ten thousand numbers, fast."""
    line = _foreign_range(attack.where, random)
    for at_s in _steady(attack.start_s, random.randrange(400, 1_200), random.uniform(0.3, 3) * HOUR_S, random):
        yield by.ask(at_s, f"{line}{random.randrange(10_000):04d}")


def sequential(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """B: one number after the other."""
    line, first = _foreign_range(attack.where, random), random.randrange(7_000)
    for n, at_s in enumerate(
        _steady(attack.start_s, random.randrange(300, 900), random.uniform(0.5, 4) * HOUR_S, random)
    ):
        yield by.ask(at_s, f"{line}{(first + n * random.choice((1, 1, 1, 2))) % 10_000:04d}")


def spray(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """C: a hundred and more ranges of the country, a few sends each."""
    lines = [_foreign_range(attack.where, random) for _ in range(random.randrange(80, 240))]
    for at_s in _steady(attack.start_s, random.randrange(1_200, 3_000), random.uniform(1, 6) * HOUR_S, random):
        yield by.ask(at_s, f"{random.choice(lines)}{random.randrange(10_000):04d}")


def drip(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """D: at most one send an hour into each of a few ranges, for days."""
    lines = [_foreign_range(attack.where, random) for _ in range(random.randrange(6, 14))]
    for line in lines:
        for at_s in _steady(attack.start_s, random.randrange(45, 72), 72 * HOUR_S, random):
            yield by.ask(at_s, f"{line}{random.randrange(10_000):04d}")


def hidden(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """E: into the ranges where people live, no more than they send themselves."""
    for at_s in _steady(attack.start_s, random.randrange(300, 700), random.uniform(8, 20) * HOUR_S, random):
        yield by.ask(at_s, f"{random.choice(attack.where.ranges)}{random.randrange(10_000):04d}")


def faked(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """F: a few ranges whose numbers belong to the attacker, who types the codes in."""
    lines = [_foreign_range(attack.where, random) for _ in range(random.randrange(1, 4))]
    for at_s in _steady(attack.start_s, random.randrange(400, 900), random.uniform(2, 8) * HOUR_S, random):
        yield by.ask(at_s, f"{random.choice(lines)}{random.randrange(10_000):04d}")


def one_address(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """G: everything from one address, everywhere."""
    ip = _address(random)
    for at_s in _steady(attack.start_s, random.randrange(600, 1_200), random.uniform(0.5, 3) * HOUR_S, random):
        yield by.ask(at_s, f"{_foreign_range(attack.where, random)}{random.randrange(10_000):04d}", ip=ip)


def bombing(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """H: one person's number, from everywhere."""
    to = f"{random.choice(attack.where.ranges)}{random.randrange(10_000):04d}"
    for at_s in _steady(attack.start_s, random.randrange(400, 900), random.uniform(0.5, 3) * HOUR_S, random):
        yield by.ask(at_s, to)


def bombing_through_tenants(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """P: one person's number, through so many platforms that each sees little of it."""
    tenants = [f"platform-{n}" for n in range(random.randrange(10, 60))]
    for asked in bombing(attack, by, random):
        asked.tenant = random.choice(tenants)
        yield asked


def guess_spray(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """I: many numbers of real people, a few wrong codes each, from a few networks."""
    ips = [_address(random) for _ in range(6)]
    for at_s in _steady(attack.start_s, random.randrange(200, 400), 2 * HOUR_S, random):
        asked = by.ask(
            at_s, f"{random.choice(attack.where.ranges)}{random.randrange(10_000):04d}", ip=random.choice(ips)
        )
        asked.wrong = random.randrange(3, 6)
        yield asked


def slow_guess(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """J: one person's number, wrong codes for days."""
    to = f"{random.choice(attack.where.ranges)}{random.randrange(10_000):04d}"
    for at_s in _steady(attack.start_s, 60, 30 * HOUR_S, random):
        asked = by.ask(at_s, to)
        asked.wrong = 4
        yield asked


def key_theft(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """L: a stolen key, used for countries the tenant never sends to, without addresses or devices."""
    for at_s in _steady(attack.start_s, random.randrange(600, 1_500), random.uniform(0.5, 2) * HOUR_S, random):
        asked = by.ask(at_s, f"{_foreign_range(attack.where, random)}{random.randrange(10_000):04d}")
        asked.ip = asked.device = None
        yield asked


def moving(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """M: leaves a range as soon as it is refused there; the season moves it on (`Mover`)."""
    for at_s in _steady(attack.start_s, random.randrange(500, 1_000), random.uniform(1, 4) * HOUR_S, random):
        yield by.ask(at_s, "")


def poisoning(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """N: hours of good traffic into the range first, then the pumping."""
    line = _foreign_range(attack.where, random)
    for at_s in _steady(attack.start_s, 60, 8 * HOUR_S, random):
        asked = by.ask(at_s, f"{line}{random.randrange(10_000):04d}")
        asked.verify_s, asked.receipt_s, asked.label = random.lognormvariate(2.8, 0.6), 3.0, "N-bait"
        yield asked
    for at_s in _steady(attack.start_s + 8 * HOUR_S, random.randrange(400, 900), 2 * HOUR_S, random):
        yield by.ask(at_s, f"{line}{random.randrange(10_000):04d}")


def sim_swap(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """K: one request for each of a few stolen lines, from a new machine; the code arrives and is typed in."""
    for at_s in _steady(attack.start_s, random.randrange(8, 20), 12 * HOUR_S, random):
        asked = by.ask(at_s, f"{random.choice(attack.where.ranges)}{random.randrange(10_000):04d}")
        asked.verify_s, asked.receipt_s = random.lognormvariate(2.8, 0.6), 3.0
        yield asked


def mixture(attack: Attack, by: Attacker, random: Random) -> Iterator[Ask]:
    """O: a block, the ranges where people live and one address at once, each with some of the usual volume."""
    for making in (block_burst, hidden, one_address):
        share = random.uniform(0.2, 0.5)
        yield from (asked for asked in making(attack, by, random) if random.random() < share)


Making = Callable[[Attack, Attacker, Random], Iterator[Ask]]
FAMILIES: dict[str, Making] = {
    "A": block_burst, "B": sequential, "C": spray, "D": drip, "E": hidden, "F": faked, "G": one_address, "H": bombing,
    "I": guess_spray, "J": slow_guess, "K": sim_swap, "L": key_theft, "M": moving, "N": poisoning, "O": mixture,
    "P": bombing_through_tenants,
}  # fmt: skip


HELD_OUT = ("K", "O")
"""Families that no threshold was ever set by, in no world."""


class Mover:
    """M's next number: a new range whenever the last one was refused."""

    def __init__(self, where: Country, random: Random) -> None:
        self._where, self._random = where, random
        self._line = _foreign_range(where, random)

    def number(self) -> str:
        return f"{self._line}{self._random.randrange(10_000):04d}"

    def refused(self) -> None:
        self._line = _foreign_range(self._where, self._random)


def _steady(start_s: float, count: int, lasts_s: float, random: Random) -> list[float]:
    return sorted(start_s + random.random() * lasts_s for _ in range(count))


def _foreign_range(where: Country, random: Random) -> str:
    """A range of the country's operators that need not hold anybody."""
    free = where.tail_digits - 4
    return f"{random.choice(where.operators)}{random.randrange(10**free):0{free}d}"


def _address(random: Random) -> str:
    return ".".join(str(random.randrange(1, 255)) for _ in range(4))
