"""Who is let in while more is asked than can be decided: whoever would wait for long hears no at once. Pure.

The desk decides in order of arrival, so two things tell how long whoever comes now would wait: for how long the first
who came after the last one answered has been inside, and how many are inside beside how many were answered lately.
"""

from collections import Counter, deque
from dataclasses import dataclass

HALF, FULL = 0.5, 1.0
FEW = 16  # inside are no line: what they wait for is a moment in which nothing goes on


@dataclass(frozen=True, slots=True)
class Admitted:
    """One request that is inside. `entered_s` is on the monotonic clock."""

    number: int
    tenant: str
    entered_s: float


class Admission:
    """Keeps what is inside to about `wait_max_s` of work.

    While less than half of that is inside, or only a few are, everybody is let in. From there on a tenant that holds
    more than `tenant_share` of what is inside is refused, so that one that floods leaves room for the others; once it
    is full, so is everybody. One request of a tenant that has none inside always gets in: it finds out whether things
    go well again, and no number of other tenants' requests keeps it out.
    """

    def __init__(self, *, wait_max_s: float, tenant_share: float, inside_min: int) -> None:
        """`inside_min` requests are never too many by their number alone: there is no telling how fast it goes before
        it went."""
        self._wait_max_s = wait_max_s
        self._tenant_share = tenant_share
        self._inside_min = inside_min
        self._come = 0
        self._inside: dict[int, Admitted] = {}
        self._of_tenant: Counter[str] = Counter()
        self._left_s: deque[float] = deque()
        self._answered = 0  # the number of the newest request that was answered

    def enter(self, tenant: str, now_s: float) -> Admitted | None:
        """A place inside, None where there is none for this tenant. Whoever gets one must `leave`."""
        if not self._has_room(tenant, now_s):
            return None
        self._come += 1
        self._of_tenant[tenant] += 1
        admitted = Admitted(self._come, tenant, now_s)
        self._inside[admitted.number] = admitted
        return admitted

    def leave(self, admitted: Admitted, now_s: float) -> None:
        """A request was answered, or given up."""
        del self._inside[admitted.number]
        self._answered = max(self._answered, admitted.number)
        self._left_s.append(now_s)
        self._of_tenant[admitted.tenant] -= 1
        if not self._of_tenant[admitted.tenant]:
            del self._of_tenant[admitted.tenant]

    def pressure(self, now_s: float) -> float:
        """How much of the room is taken: 0 none, 1 all of it."""
        return max(self._waited_s(now_s) / self._wait_max_s, len(self._inside) / self._inside_max(now_s))

    def _has_room(self, tenant: str, now_s: float) -> bool:
        held = self._of_tenant[tenant]
        if not held or len(self._inside) < FEW:
            return True
        pressure = self.pressure(now_s)
        return pressure < HALF or (pressure < FULL and held <= self._tenant_share * len(self._inside))

    def _waited_s(self, now_s: float) -> float:
        """For how long the first has been inside that came after the newest that was answered. Those that were passed
        over, for they share a number with others, say nothing about whoever comes now."""
        first = self._inside.get(self._answered + 1)
        return now_s - first.entered_s if first is not None else 0.0

    def _inside_max(self, now_s: float) -> int:
        """As many as left within the time that one may wait."""
        while self._left_s and self._left_s[0] <= now_s - self._wait_max_s:
            self._left_s.popleft()
        return max(self._inside_min, len(self._left_s))
