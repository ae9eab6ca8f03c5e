"""What a carrier does with one call and with one message: pure, drawn from a seeded source that is passed in.

The number of draws depends on the behaviour and on earlier draws alone, so the same seed and the same calls in the
same order lead to the same answers.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from watchword.simulator.behaviour import Behaviour, Spread, Uniform, is_away

GSM_LETTERS = frozenset(map(chr, range(0x20, 0x7F))) - frozenset("`") | frozenset("\n\r")
SINGLE_GSM, PART_GSM = 160, 153
SINGLE_UCS2, PART_UCS2 = 70, 67
ENDINGS_THAT_ARRIVE = frozenset({"delivered", "unknown"})


class Draw(Protocol):
    """The part of random.Random that is used."""

    def random(self) -> float:
        """A number from 0 to below 1."""

    def lognormvariate(self, mu: float, sigma: float) -> float:
        """A log-normal number."""

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits."""


class Way(StrEnum):
    """How a call ends."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    HANG_BEFORE = "hang_before"  # no answer, and the message was not taken
    HANG_AFTER = "hang_after"  # no answer, although it was
    RESET = "reset"  # the connection is cut at once, not taken


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one call. `error` is an outcome class where it is refused, else ""."""

    way: Way
    latency_ms: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """One receipt: `state` after `delay_ms`."""

    delay_ms: float
    state: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an accepted message. With `early`, its receipts are out before the call is answered."""

    arrives: bool
    receipts: tuple[Due, ...] = ()
    early: bool = False


_AWAY = {
    "unavailable": Answer(Way.REFUSE, error="temporary"),
    "reset": Answer(Way.RESET),
    "hang": Answer(Way.HANG_BEFORE),
}


def answer(behaviour: Behaviour, age_s: float, draw: Draw) -> Answer:
    """How a well-formed call ends that comes `age_s` seconds after the behaviour was set."""
    if is_away(behaviour, age_s):
        return _AWAY[behaviour.outage_answer]
    latency_ms = spread(behaviour.latency_ms, draw)
    left = draw.random()
    ways = ((Way.HANG_BEFORE, behaviour.timeouts_before), (Way.HANG_AFTER, behaviour.timeouts_after))
    for way, share in ways:
        if left < share:
            return Answer(way, latency_ms)
        left -= share
    error = _pick(msgspec.structs.asdict(behaviour.errors), left)
    return Answer(Way.REFUSE if error else Way.ACCEPT, latency_ms, error)


def fate(behaviour: Behaviour, draw: Draw) -> Fate:
    """What becomes of a message that was taken. A lost one never arrives and nothing more is heard of it."""
    if _happens(behaviour.loss, draw):
        return Fate(arrives=False)
    ending = _pick(msgspec.structs.asdict(behaviour.endings), draw.random()) or "delivered"
    arrives = ending in ENDINGS_THAT_ARRIVE
    if not behaviour.receipts:
        return Fate(arrives)
    timing = draw.random()
    if timing < behaviour.receipt_early:
        states = (*behaviour.receipt_steps, ending)
        return Fate(arrives, tuple(Due(0.0, state) for state in states), early=True)
    is_late = timing < behaviour.receipt_early + behaviour.receipt_late
    return Fate(arrives, _receipts(behaviour, ending, is_late, draw))


def _receipts(behaviour: Behaviour, ending: str, is_late: bool, draw: Draw) -> tuple[Due, ...]:
    """The steps evenly over the delay, the ending at its end; reordered ones come the other way round."""
    states = (*behaviour.receipt_steps, ending)
    delay_ms = spread(behaviour.receipt_late_ms if is_late else behaviour.receipt_delay_ms, draw)
    if _happens(behaviour.receipt_reordered, draw):
        states = states[::-1]
    due = [Due(delay_ms * step / len(states), state) for step, state in enumerate(states, 1)]
    return tuple(twice for one in due for twice in (one,) * (2 if _happens(behaviour.receipt_duplicates, draw) else 1))


def _happens(rate: float, draw: Draw) -> bool:
    return rate > 0 and draw.random() < rate


def _pick(shares: dict[str, float], left: float) -> str:
    """The name in whose share `left` falls, "" where it is beyond them all."""
    for name, share in shares.items():
        if left < share:
            return name
        left -= share
    return ""


def spread(over: Spread, draw: Draw) -> float:
    """Milliseconds drawn from `over`."""
    if isinstance(over, Uniform):
        return over.min if over.min == over.max else over.min + (over.max - over.min) * draw.random()
    return min(draw.lognormvariate(math.log(over.median), over.sigma), over.max)


def segments(text: str) -> int:
    """SMS parts of `text`: septets where it is plain Latin, UTF-16 units otherwise. Good enough to be billed by a
    simulator; national tables and shifted characters are left out."""
    if GSM_LETTERS.issuperset(text):
        single, part, length = SINGLE_GSM, PART_GSM, len(text)
    else:
        single, part, length = SINGLE_UCS2, PART_UCS2, len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if length <= single else -(-length // part)
