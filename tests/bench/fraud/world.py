"""A world: countries with operators, ranges and prices, and the people who live there. Seeded, and the same for every
engine. Operators and the length of numbers come from libphonenumber's tables."""

from bisect import bisect
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import exp
from random import Random

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers.carrierdata import CARRIER_DATA

DAY_S = 86_400.0
START_S = 1_772_409_600.0  # a Monday, midnight UTC

# Millionths of a dollar a message, rounded from public price lists of 2025: what counts is how they differ.
PRICES_MICROS = {
    "US": 8_000, "CA": 8_000, "BR": 27_000, "MX": 38_000, "GB": 46_000, "FR": 70_000, "DE": 95_000, "ES": 70_000,
    "IN": 45_000, "ID": 320_000, "PH": 180_000, "VN": 70_000, "NG": 230_000, "KE": 80_000, "ZA": 25_000, "EG": 250_000,
    "PK": 240_000, "BD": 260_000, "LK": 220_000, "UZ": 270_000, "AZ": 300_000, "TJ": 290_000, "DZ": 210_000,
    "IQ": 200_000, "JO": 210_000, "TN": 230_000, "KZ": 110_000, "TR": 25_000, "PL": 30_000, "AU": 40_000,
}  # fmt: skip
HOME = ("US", "GB", "DE", "FR", "IN", "BR", "ES", "MX", "TR", "PL", "AU", "ZA")
COSTLY = ("UZ", "AZ", "BD", "PK", "ID", "EG", "LK", "NG", "TJ", "IQ", "TN", "DZ", "PH", "JO")


@dataclass(frozen=True)
class Country:
    """`ranges` are "+" and all digits but the last four, with the weights of where people live."""

    code: str
    price_micros: int
    operators: tuple[str, ...]
    tail_digits: int
    ranges: tuple[str, ...]
    weights: tuple[float, ...]
    conversion: float
    delay_median_s: float
    delay_spread: float
    receipts: float
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Who asks: a number, and where they ask from."""

    country: Country
    number: str
    ip: str
    device: str | None


@dataclass(frozen=True)
class World:
    """Everything that is the same for all engines. `feedback` is the share of verified users of whom the platform
    says that they are good."""

    seed: int
    tenants: tuple[str, ...]
    countries: tuple[Country, ...]
    shares: tuple[float, ...]
    people: tuple[Person, ...]
    people_weights: tuple[float, ...]
    requests_per_day: float
    has_devices: bool
    feedback: float

    def someone(self, random: Random) -> Person:
        """A person as often as they ask: a few ask much, most seldom (Zipf)."""
        return self.people[_pick(self.people_weights, random)]

    def country(self, code: str) -> Country:
        return next(each for each in self.countries if each.code == code)


def world(seed: int) -> World:
    """The world of a seed. Worlds differ in size, in how many ranges people are spread over, and in what they tell."""
    random = Random(f"world {seed}")
    codes = [*random.sample(HOME, 7), *random.sample(COSTLY, 6)]
    breadth = random.choice((5, 20, 120, 600))
    countries = tuple(country(code, breadth, random) for code in codes)
    shares = tuple(random.paretovariate(0.9) if n < 7 else 0.25 * random.paretovariate(1.2) for n in range(len(codes)))
    total = sum(shares)
    has_devices = random.random() < 0.7
    people_count = random.randrange(4_000, 12_000)
    weights = _running([share / total for share in shares])
    people = tuple(
        person(countries[_pick(weights, random)], random, has_devices=has_devices) for _ in range(people_count)
    )
    return World(
        seed=seed,
        tenants=("shop", "bank")[: random.choice((1, 2))],
        countries=countries,
        shares=tuple(share / total for share in shares),
        people=people,
        people_weights=_running([1 / (rank + 40) for rank in range(people_count)]),
        requests_per_day=random.uniform(2_500, 6_000),
        has_devices=has_devices,
        feedback=random.choice((0.0, 0.0, 0.7)),
    )


def country(code: str, breadth: int, random: Random) -> Country:
    """A country with `breadth` ranges an operator, of which a few hold most people."""
    operators, tail = operators_of(code)
    chosen = tuple(random.sample(operators, min(len(operators), random.randrange(3, 7))))
    ranges = []
    for operator in chosen:
        free = tail - 4
        ranges += [f"{operator}{random.randrange(10**free):0{free}d}" for _ in range(min(breadth, 10**free))]
    spread = random.uniform(0.6, 1.1)
    weights = [random.expovariate(1) / (rank % breadth + 1) ** spread for rank in range(len(ranges))]
    return Country(
        code=code,
        price_micros=PRICES_MICROS[code],
        operators=chosen,
        tail_digits=tail,
        ranges=tuple(ranges),
        weights=_running(weights),
        conversion=random.uniform(0.55, 0.95),
        delay_median_s=random.uniform(9, 28),
        delay_spread=random.uniform(0.45, 0.85),
        receipts=random.choice((0.0, 0.8, 0.93, 0.97)),
        networks=tuple(f"{random.randrange(11, 223)}.{random.randrange(256)}" for _ in range(4)),
    )


def person(home: Country, random: Random, *, has_devices: bool = True) -> Person:
    """Somebody who lives in a country, one in seven behind an address that many share."""
    line = home.ranges[_pick(home.weights, random)]
    network = random.choice(home.networks)
    shared = random.random() < 0.15
    ip = (
        f"{network}.{random.randrange(3) if shared else random.randrange(256)}.{1 if shared else random.randrange(256)}"
    )
    device = f"d{random.getrandbits(48):x}" if has_devices and random.random() < 0.95 else None
    return Person(home, f"{line}{random.randrange(10_000):04d}", ip, device)


def rhythm(at_s: float) -> float:
    """How busy a moment is against the average: quiet nights, busy evenings, slower week-ends."""
    hour = at_s % DAY_S / 3_600
    daily = 0.25 + 1.5 * exp(-(((hour - 19) / 4.5) ** 2)) + 0.9 * exp(-(((hour - 11) / 3) ** 2))
    return daily * (0.8 if int(at_s // DAY_S) % 7 in (2, 3) else 1.0) / 0.99


@cache
def operators_of(code: str) -> tuple[tuple[str, ...], int]:
    """Operator prefixes of a country's mobile numbers, with "+", and how many digits follow them."""
    example = phonenumbers.example_number_for_type(code, PhoneNumberType.MOBILE)
    if example is None:
        raise ValueError(f"{code} has no mobile numbers")
    national = str(example.national_number)
    calling = str(example.country_code)
    length = len(calling) + len(national)
    wanted = length - 7
    prefixes = set()
    for prefix in CARRIER_DATA:
        if prefix.startswith(calling) and len(calling) < len(prefix) <= length - 6:
            prefixes.add(f"{prefix}{'0' * 9}"[: max(wanted, len(calling) + 1)])
    valid = [each for each in sorted(prefixes) if _is_mobile(code, each, length)]
    found = valid or [f"{calling}{national}"[:wanted]]
    return tuple(f"+{each}" for each in found), length - len(found[0])


def _is_mobile(code: str, prefix: str, length: int) -> bool:
    number = phonenumbers.parse("+" + prefix + "2345678"[: length - len(prefix)].ljust(length - len(prefix), "3"))
    kind = phonenumbers.number_type(number)
    return (
        phonenumbers.region_code_for_number(number) == code
        and kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    )  # fmt: skip


def _running(weights: list[float]) -> tuple[float, ...]:
    return tuple(accumulate(weights))


def _pick(running: tuple[float, ...], random: Random) -> int:
    return min(bisect(running, random.random() * running[-1]), len(running) - 1)
