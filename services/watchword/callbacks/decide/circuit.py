"""One circuit an endpoint: whoever does not answer is left alone for a while and costs nobody else a lane. Pure;
times are seconds of any clock that only goes forward."""

from typing import Final

FAILURES_MAX: Final = 5
OPEN_MIN_S: Final = 5.0
OPEN_MAX_S: Final = 60.0
"""Short against a code's life, so that an endpoint that is back is told while the code still lives."""


class Circuit:
    """Opens after `FAILURES_MAX` failures in a row, and then lets one call through to see: each time that fails it
    stays open twice as long. `pause` keeps it open for as long as the endpoint asked for."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_s = OPEN_MIN_S
        self._open_until_s = float("-inf")

    def room(self, now_s: float, inside: int, inside_max: int) -> int:
        """How many more calls may begin while `inside` are under way."""
        if now_s < self._open_until_s:
            return 0
        if self._failures >= FAILURES_MAX:
            return 0 if inside else 1
        return max(inside_max - inside, 0)

    def is_open(self, now_s: float) -> bool:
        """Whether the endpoint is left alone, but for a call that looks whether it is back."""
        return now_s < self._open_until_s or self._failures >= FAILURES_MAX

    def well(self) -> None:
        """A call was taken."""
        self._failures = 0
        self._open_s = OPEN_MIN_S

    def failed(self, now_s: float) -> None:
        """A call was not taken, or not answered. Calls that were under way when it opened do not open it further."""
        self._failures += 1
        if self._failures >= FAILURES_MAX and now_s >= self._open_until_s:
            self._open_until_s = now_s + self._open_s
            self._open_s = min(self._open_s * 2, OPEN_MAX_S)

    def pause(self, now_s: float, for_s: float) -> None:
        """The endpoint asked to be left alone for so long."""
        self._open_until_s = max(self._open_until_s, now_s + for_s)
