"""How close to each other turns may begin: what comes in between shares the next one.

A turn costs the same whether it carries one event or fifty, so under load fewer turns are cheaper ones. Whoever comes
after a pause waits for nothing: only the beginning of the last turn counts.
"""

from collections.abc import Callable

from watchword.runtime.clock import monotonic_s


class Pace:
    """Spaces the beginnings of turns by at least `every_s`; 0 lets one follow the other at once."""

    def __init__(self, every_s: float, *, monotonic: Callable[[], float] = monotonic_s) -> None:
        self._every_s = every_s
        self._monotonic = monotonic
        self._next_s = monotonic()

    def rest_s(self) -> float:
        """How long the next turn has to wait, 0 if it may begin now."""
        return max(self._next_s - self._monotonic(), 0.0)

    def begin(self) -> None:
        """A turn begins now."""
        self._next_s = self._monotonic() + self._every_s
