"""Which rate is sustained: steps up until one is too much, then between the last two until they are close. Pure."""

import math
from dataclasses import dataclass

STEP = 1.5
CLOSE = 1.12
RATE_MIN = 4.0


@dataclass
class Search:
    """`rate_per_s` is the next to try; `best_per_s` the highest that was kept up, 0 for none."""

    rate_per_s: float
    limit_per_s: float = 20_000.0
    best_per_s: float = 0.0
    worst_per_s: float = 0.0
    done: bool = False

    def judged(self, kept_up: bool) -> None:
        """What came of the rate that was tried."""
        if kept_up:
            self.best_per_s = self.rate_per_s
        else:
            self.worst_per_s = self.rate_per_s
        self.rate_per_s = round(self._next(), 1)
        self.done = self._is_close() or not RATE_MIN <= self.rate_per_s <= self.limit_per_s

    def _next(self) -> float:
        if not self.worst_per_s:
            return self.best_per_s * STEP
        if not self.best_per_s:
            return self.worst_per_s / STEP
        return math.sqrt(self.best_per_s * self.worst_per_s)

    def _is_close(self) -> bool:
        return self.best_per_s > 0 and 0 < self.worst_per_s <= self.best_per_s * CLOSE
