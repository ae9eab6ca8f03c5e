"""The order in which a route's accounts are tried where it is drawn: the same inputs give the same order, everywhere
and for ever, so that what attempt-made tells is enough to draw it again."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import cos, log, pi, sqrt
from typing import Final

from watchword.events.attempt_made import Candidate, Drawn, DrawnBy
from watchword.kernel.tenancy import Choosing, Route

NOTHING_KNOWN: Final = (0.0, 0.0)
_KEPT_DIGITS: Final = 3
_WORD_BITS: Final = 53


class Stream:
    """Numbers drawn from a seed: SHA-256 over the seed and a count. Not the standard library's, whose ways of drawing
    may change between versions."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def uniform(self) -> float:
        """Between 0 and 1, neither of them."""
        self._count += 1
        digest = sha256(f"{self._seed}/{self._count}".encode()).digest()
        return ((int.from_bytes(digest[:8], "big") >> (64 - _WORD_BITS)) + 0.5) / (1 << _WORD_BITS)

    def beta(self, alpha: float, beta: float) -> float:
        """From the Beta distribution. Both at least 1."""
        first, second = self._gamma(alpha), self._gamma(beta)
        return first / (first + second)

    def _normal(self) -> float:
        return sqrt(-2 * log(self.uniform())) * cos(2 * pi * self.uniform())

    def _gamma(self, shape: float) -> float:
        """From the Gamma distribution with scale 1, by Marsaglia and Tsang's method of 2000."""
        d = shape - 1 / 3
        c = 1 / sqrt(9 * d)
        while True:
            x = self._normal()
            v = (1 + c * x) ** 3
            if v > 0 and log(self.uniform()) < 0.5 * x * x + d - d * v + d * log(v):
                return d * v


def drawn(route: Route, accounts: Sequence[str], counts: Mapping[str, tuple[float, float]], seed: str) -> Drawn | None:
    """What the order of `accounts` is drawn from; None where they stand in the order of the route.

    `counts` are, by account, how many codes were typed in time and how many were not, both faded by age; they are
    rounded before they are used, to what attempt-made tells.
    """
    match route.choice:
        case Choosing.WEIGHTS:
            weighed = tuple(Candidate(account=each, weight=route.weights.get(each, 1)) for each in accounts)
            return Drawn(by=DrawnBy(route.choice), seed=seed, candidates=weighed)
        case Choosing.SCORED:
            scored = tuple(_scored(each, *counts.get(each, NOTHING_KNOWN)) for each in accounts)
            return Drawn(by=DrawnBy(route.choice), seed=seed, candidates=scored, explore_share=route.explore_share)
    return None


def order_of(told: Drawn) -> tuple[str, ...]:
    """The accounts in the order drawn, from nothing but what is told.

    Weights: the chance to stand before the others is the share of the weight. Scores: Thompson sampling, one draw for
    each account from what is believed of its rate; and for `explore_share` of the seeds any account comes first, so
    that one that had a bad hour is heard of again.
    """
    stream = Stream(told.seed)
    if told.by is DrawnBy.WEIGHTS:
        return _sorted(told.candidates, {each.account: log(stream.uniform()) / each.weight for each in told.candidates})
    explored = stream.uniform() / told.explore_share if told.explore_share else 1.0
    draws = {each.account: stream.beta(1 + each.verified, 1 + each.unverified) for each in told.candidates}
    order = _sorted(told.candidates, draws)
    if explored >= 1 or not told.candidates:
        return order
    first = told.candidates[int(explored * len(told.candidates))].account
    return (first, *(each for each in order if each != first))


def _scored(account: str, verified: float, unverified: float) -> Candidate:
    return Candidate(
        account=account, verified=round(verified, _KEPT_DIGITS), unverified=round(unverified, _KEPT_DIGITS)
    )


def _sorted(candidates: Sequence[Candidate], draws: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted((each.account for each in candidates), key=lambda account: -draws[account]))
