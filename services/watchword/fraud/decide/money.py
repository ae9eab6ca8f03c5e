"""Whether there is money left for a send: caps, their counters, and what is taken from them. Pure: sums come in, held
by their transaction, and reservations go out.

A counter is what one cap allows in one hour or day. A send takes from every counter that it counts under or from none;
of the sends of a batch that want the same money the first get what is left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchword.events.risk_level_set import Reason
from watchword.kernel.spending import Cap, Window

COST_CAP = "cost_cap"
"""The word of the reason for which a send is refused that there is no money left for."""

_WINDOWS: Mapping[Window, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_SHAPES: Mapping[Window, str] = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d"}


@dataclass(frozen=True, slots=True)
class Counter:
    """What one cap allows until `ends_at`. `key` is `<window>/<cap>/<whose>/<when it began>`, in UTC."""

    key: str
    window: Window
    cap: str
    limit_micros: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Short:
    """The first counter that has no room for a send, and what it would have come to with it."""

    counter: Counter
    wanted_micros: int

    def reason(self, weight: float) -> Reason:
        """Why the send is refused, as its assessment tells it."""
        return Reason(
            code=COST_CAP,
            value=float(self.wanted_micros),
            threshold=float(self.counter.limit_micros),
            weight=weight,
            feature=self.counter.key,
        )


class Purse:
    """What is spent and held under some counters, in micros, while a batch is decided."""

    def __init__(self, used_micros: Mapping[str, int]) -> None:
        self._used_micros = dict(used_micros)

    def take(self, counters: Iterable[Counter], price_micros: int) -> Short | None:
        """The price from every counter, or, if one of them has no room for it, from none, and which that is."""
        wanted = tuple(counters)
        for counter in wanted:
            comes_to = self._used_micros.get(counter.key, 0) + price_micros
            if comes_to > counter.limit_micros:
                return Short(counter, comes_to)
        for counter in wanted:
            self._used_micros[counter.key] = self._used_micros.get(counter.key, 0) + price_micros
        return None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one send costs at most, the counters it counts under, and the purse of its batch."""

    price_micros: int
    counters: tuple[Counter, ...]
    purse: Purse

    def buy(self) -> Short | None:
        """Take the money; the counter that is short if there is not enough."""
        return self.purse.take(self.counters, self.price_micros)


def counters_of(caps: Iterable[Cap], *, tenant: str, country: str, api_key: str, now: datetime) -> tuple[Counter, ...]:
    """The counters that a send counts under at `now`: two at most for every cap that is for it."""
    found = []
    for cap in caps:
        if not cap.is_for(tenant, country, api_key):
            continue
        whose = {"": "-", "tenant": tenant, "country": country, "api_key": f"{tenant}.{api_key}"}[cap.each]
        limits: tuple[tuple[Window, int], ...] = (("hour", cap.hour_micros), ("day", cap.day_micros))
        found += [_counter(window, cap.id, whose, limit, now) for window, limit in limits if limit]
    return tuple(found)


def price_of(prices_micros: Mapping[str, int], country: str) -> int:
    """The micros that one part of a message to `country` costs at most; what is not priced costs nothing."""
    return prices_micros.get(country, prices_micros.get("*", 0))


def _counter(window: Window, cap: str, whose: str, limit_micros: int, now: datetime) -> Counter:
    began = now.replace(minute=0, second=0, microsecond=0)
    if window == "day":
        began = began.replace(hour=0)
    key = f"{window}/{cap}/{whose}/{began:{_SHAPES[window]}}"
    return Counter(key, window, cap, limit_micros, began + _WINDOWS[window])
