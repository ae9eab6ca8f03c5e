"""Public rules beside ours, written anew from their descriptions: what they look at and from when they refuse."""

from collections import defaultdict, deque
from math import sqrt

from tests.bench.fraud.traffic import Ask
from tests.bench.fraud.world import DAY_S

HOUR_S = 3_600.0


class Window:
    """Moments of the last `span_s` seconds."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._moments: deque[float] = deque()

    def add(self, at_s: float) -> None:
        self._moments.append(at_s)

    def count(self, at_s: float) -> int:
        while self._moments and self._moments[0] <= at_s - self._span_s:
            self._moments.popleft()
        return len(self._moments)


class Bucket:
    """A leaky bucket of unverified sends, drained evenly over `span_s`."""

    def __init__(self, span_s: float) -> None:
        self._span_s, self._level, self._at_s = span_s, 0.0, 0.0

    def add(self, at_s: float, amount: float, size: float) -> float:
        self._level = max(self._level - (at_s - self._at_s) * size / self._span_s, 0.0) + amount
        self._at_s = at_s
        return self._level


class StaticVelocity:
    """Five sends a number in ten minutes and ten in a day, ten a network in an hour."""

    def __init__(self) -> None:
        self._short: dict[str, Window] = defaultdict(lambda: Window(600))
        self._day: dict[str, Window] = defaultdict(lambda: Window(DAY_S))
        self._address: dict[str, Window] = defaultdict(lambda: Window(HOUR_S))

    def request(self, ask: Ask) -> tuple[str, float, str]:
        address = self._address[ask.ip or ""]
        counts = (
            self._short[ask.to].count(ask.at_s) / 5,
            self._day[ask.to].count(ask.at_s) / 10,
            address.count(ask.at_s) / 10 if ask.ip else 0.0,
        )
        if max(counts) >= 1:
            return "block", 100.0, "number_velocity" if max(counts[:2]) >= 1 else "ip_velocity"
        for window in (self._short[ask.to], self._day[ask.to], address):
            window.add(ask.at_s)
        return "allow", 100 * max(counts), ""

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        """Learns nothing."""


class LeakyBudgets:
    """Leaky budgets of unverified sends a country and an address, after authgear's published specification, with the
    ratios that harm fewer users than its defaults: once and 0.7 times what was verified. Verified numbers pass."""

    def __init__(self) -> None:
        self._verified_day: dict[str, Window] = defaultdict(lambda: Window(DAY_S))
        self._verified_hour: dict[str, Window] = defaultdict(lambda: Window(HOUR_S))
        self._day: dict[str, Bucket] = defaultdict(lambda: Bucket(DAY_S))
        self._hour: dict[str, Bucket] = defaultdict(lambda: Bucket(HOUR_S))
        self._numbers: set[str] = set()

    def request(self, ask: Ask) -> tuple[str, float, str]:
        if ask.to in self._numbers:
            return "allow", 0.0, ""
        part = 0.0
        for name, day_min, hour_min in ((ask.country, 20.0, 3.0), (ask.ip or "", 10.0, 5.0)):
            if name:
                part = max(part, *self._fill(name, ask.at_s, day_min, hour_min))
        return ("block", 100.0, "country_unverified_pileup") if part > 1 else ("allow", 70 * part, "")

    def _fill(self, name: str, at_s: float, day_min: float, hour_min: float) -> tuple[float, float]:
        day = max(day_min, 1.0 * self._verified_day[name].count(at_s))
        hour = max(hour_min, 0.7 * self._verified_hour[name].count(at_s), day / 6)
        return self._day[name].add(at_s, 1, day) / day, self._hour[name].add(at_s, 1, hour) / hour

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        if kind != "verified":
            return
        self._numbers.add(ask.to)
        for name in (ask.country, ask.ip or ""):
            self._verified_day[name].add(at_s)
            self._verified_hour[name].add(at_s)
            self._day[name].add(at_s, -1, 20.0)
            self._hour[name].add(at_s, -1, 3.0)


class Conversion:
    """A country whose conversion over a day falls to 35 % of at least fifty sends is refused for an hour."""

    def __init__(self) -> None:
        self._sent: dict[str, Window] = defaultdict(lambda: Window(DAY_S))
        self._verified: dict[str, Window] = defaultdict(lambda: Window(DAY_S))
        self._until_s: dict[str, float] = {}

    def request(self, ask: Ask) -> tuple[str, float, str]:
        if ask.at_s < self._until_s.get(ask.country, 0.0):
            return "block", 100.0, "country_unverified_pileup"
        sent = self._sent[ask.country].count(ask.at_s - 300)
        share = self._verified[ask.country].count(ask.at_s) / sent if sent else 1.0
        if sent >= 50 and share <= 0.35:
            self._until_s[ask.country] = ask.at_s + HOUR_S
            return "block", 100.0, "country_unverified_pileup"
        self._sent[ask.country].add(ask.at_s)
        return "allow", 70 * (1 - share), ""

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        if kind == "verified":
            self._verified[ask.country].add(at_s)


class SixSigma:
    """More than six standard deviations above a country's usual twelve hours, and more than a hundred sends."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def request(self, ask: Ask) -> tuple[str, float, str]:
        slot = int(ask.at_s // (12 * HOUR_S))
        counts = self._counts[ask.country]
        past = [counts[each] for each in range(slot - 8, slot)]
        usual = sum(past) / len(past)
        spread = sqrt(sum((each - usual) ** 2 for each in past) / len(past)) or 1.0
        sigma = (counts[slot] - usual) / spread
        if counts[slot] > 100 and sigma > 6:
            return "block", 100.0, "range_volume_surprise"
        counts[slot] += 1
        return "allow", min(max(sigma, 0.0) * 10, 69), ""

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        """Learns nothing."""


class WeightedScore:
    """Fixed weights over a country list, an hour's velocity of the seven leading digits, their conversion and the
    device, as small open tools do: blocked from 71 of 100."""

    COSTLY_MICROS = 150_000

    def __init__(self) -> None:
        self._sent: dict[str, Window] = defaultdict(lambda: Window(HOUR_S))
        self._verified: dict[str, Window] = defaultdict(lambda: Window(HOUR_S))

    def request(self, ask: Ask) -> tuple[str, float, str]:
        prefix = ask.to[:8]
        sent = self._sent[prefix].count(ask.at_s)
        share = self._verified[prefix].count(ask.at_s) / sent if sent >= 5 else 1.0
        points = 25.0 * (ask.price_micros >= self.COSTLY_MICROS) + 30 * min(sent / 20, 1) + 25 * (1 - share)
        points += 20 * (ask.device is None)
        if points >= 71:
            return "block", points, "range_unverified_pileup"
        self._sent[prefix].add(ask.at_s)
        return "allow", points, ""

    def tell(self, kind: str, at_s: float, ask: Ask) -> None:
        if kind == "verified":
            self._verified[ask.to[:8]].add(at_s)
