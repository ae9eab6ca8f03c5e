"""A token bucket whose rate gives way when the gateway throttles and comes back when it does not. Pure; times are
seconds of any clock that only goes forward."""

from typing import Final

GIVES_WAY: Final = 0.7
COMES_BACK: Final = 0.05
COMES_BACK_EVERY_S: Final = 5.0
_LOWEST: Final = 0.02
_BURST_S: Final = 0.2


class Pace:
    """Hands out moments to call at, `per_second` of them at most. A throttled call cuts the rate to 0.7 of itself,
    once a second at most, and every 5 s without one give back 5 % of the full rate (delivery.md, section 6.5)."""

    def __init__(self, per_second: float) -> None:
        self.full = per_second
        self.rate = per_second
        self._next_s = 0.0
        self._cut_s = float("-inf")
        self._raised_s = float("-inf")

    def delay_s(self, now_s: float) -> float:
        """How long a call would have to wait."""
        return max(self._next_s - now_s, 0.0)

    def take(self, now_s: float) -> float:
        """Take the next free moment; answers how long to wait for it, 0.0 for at once."""
        self._come_back(now_s)
        delay_s = self.delay_s(now_s)
        # Unused moments are kept for a fifth of a second (one at least), so that calls may come together.
        burst_s = max(_BURST_S - 1 / self.rate, 0.0)
        self._next_s = max(self._next_s, now_s - burst_s) + 1 / self.rate
        return delay_s

    def throttled(self, now_s: float, pause_s: float = 0.0) -> None:
        """The gateway says that this is too fast; `pause_s` is how long it asked us to wait."""
        if now_s - self._cut_s >= 1.0:
            self.rate = max(self.rate * GIVES_WAY, self.full * _LOWEST)
            self._cut_s = self._raised_s = now_s
        self._next_s = max(self._next_s, now_s + pause_s)

    def _come_back(self, now_s: float) -> None:
        steps = int((now_s - self._raised_s) // COMES_BACK_EVERY_S) if self.rate < self.full else 0
        if steps > 0:
            self.rate = min(self.rate + steps * COMES_BACK * self.full, self.full)
            self._raised_s += steps * COMES_BACK_EVERY_S
