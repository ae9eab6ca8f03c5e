"""How close to each other turns may begin: what comes in between shares the next one.

A turn costs the same whether it carries one event or fifty, so under load fewer turns are cheaper ones. Whoever comes
after a pause waits for nothing: only the beginning of the last turn counts. Where two turns in a row took long the
machine has little to give, and the next one comes later by as much: batches grow then, rather than queues (decision
0033). One alone met a disk or a lock that made it wait, and a rest after it would make others wait too.
"""

from collections.abc import Callable

from watchword.runtime.clock import monotonic_s

# A turn and the rest after it are at least this many times as long as the turn.
SPREAD = 3
# However long a turn took, the next one begins this soon: by then the machine may be another.
REST_MAX_S = 0.15


class Pace:
    """Spaces the beginnings of turns by at least `every_s`, and by `SPREAD` times what the shorter one of the last two
    took; 0 lets one follow the other at once."""

    def __init__(self, every_s: float, *, monotonic: Callable[[], float] = monotonic_s) -> None:
        self._every_s = every_s
        self._monotonic = monotonic
        self._began_s = self._next_s = monotonic()
        self._took_s = 0.0

    def rest_s(self) -> float:
        """How long the next turn has to wait, 0 if it may begin now."""
        return max(self._next_s - self._monotonic(), 0.0)

    def begin(self) -> None:
        """A turn begins now."""
        self._began_s = self._monotonic()
        self._next_s = self._began_s + self._every_s

    def end(self) -> None:
        """The turn that began is over."""
        if self._every_s:
            before_s, self._took_s = self._took_s, self._monotonic() - self._began_s
            taken_s = min(before_s, self._took_s)
            self._next_s = self._began_s + max(self._every_s, min(SPREAD * taken_s, REST_MAX_S))
