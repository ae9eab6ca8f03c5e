"""Who is let in while more is asked than can be decided: whoever would wait for long hears no at once. Pure.

The desk decides in order of arrival, so two things tell how long whoever comes now would wait: for how long the first
who came after the last one answered has been inside, and how many are inside beside how many were answered lately.
"""

from collections import Counter, deque

import msgspec

QUARTER, HALF, FULL, TWICE = 0.25, 0.5, 1.0, 2.0
SMALL_SHARE = 0.02  # a tenant with no more of what is asked fills no room: without it, it would be as full
FEW = 16  # inside are no line: what they wait for is a moment in which nothing goes on


class Admitted(msgspec.Struct, frozen=True):
    """One request that is inside. `entered_s` is on the monotonic clock."""

    number: int
    tenant: str
    entered_s: float


class Admission:
    """Keeps what is inside to about `wait_max_s` of work.

    While less than a quarter of that is inside, everybody is let in. From there on a tenant whose part of what is
    inside, or was within the last `wait_max_s`, is more than `tenant_share` is refused, so that one that floods leaves
    room for the others, or from half of it on where next to nobody else asks; once it is full, so is everybody but who
    asks for next to nothing of it. Those are refused where they would wait for twice as long.
    """

    def __init__(self, *, wait_max_s: float, tenant_share: float, inside_min: int) -> None:
        """`inside_min` requests are never too many by their number alone: there is no telling how fast it goes before
        it went."""
        self._wait_max_s = wait_max_s
        self._tenant_share = tenant_share
        self._inside_min = inside_min
        self._come = 0
        self._answered = 0  # the number of the newest request that was answered
        self._inside: dict[int, Admitted] = {}
        self._left: deque[tuple[float, str]] = deque()  # within the last `wait_max_s`, with their tenants
        self._of_tenant: Counter[str] = Counter()  # inside, and left within that time

    def enter(self, tenant: str, now_s: float, *, behind: float = 0.0) -> Admitted | None:
        """A place inside, None where there is none for this tenant. Whoever gets one must `leave`. `behind` is how much
        of their room those have used that come after the desk, as `pressure` says it of the desk."""
        self._forget(now_s)
        if max(self.pressure(now_s), behind) >= self._room(tenant):
            return None
        self._come += 1
        self._of_tenant[tenant] += 1
        admitted = Admitted(self._come, tenant, now_s)
        self._inside[admitted.number] = admitted
        return admitted

    def _room(self, tenant: str) -> float:
        """At what pressure this tenant is refused."""
        part, lately = self._of_tenant[tenant], len(self._inside) + len(self._left)
        if part > self._tenant_share * lately:
            return HALF if lately - part <= SMALL_SHARE * lately else QUARTER
        return FULL if part > SMALL_SHARE * lately else TWICE

    def leave(self, admitted: Admitted, now_s: float) -> None:
        """A request was answered, or given up."""
        del self._inside[admitted.number]
        self._answered = max(self._answered, admitted.number)
        self._left.append((now_s, admitted.tenant))

    def pressure(self, now_s: float) -> float:
        """How much of the room is taken: 0 none, 1 all of it."""
        if len(self._inside) < FEW:
            return 0.0
        return max(self._waited_s(now_s) / self._wait_max_s, len(self._inside) / max(self._inside_min, len(self._left)))

    def _waited_s(self, now_s: float) -> float:
        """For how long the first has been inside that came after the newest that was answered. Those that were passed
        over, for they share a number with others, say nothing about whoever comes now."""
        first = self._inside.get(self._answered + 1)
        return now_s - first.entered_s if first is not None else 0.0

    def _forget(self, now_s: float) -> None:
        while self._left and self._left[0][0] <= now_s - self._wait_max_s:
            _, tenant = self._left.popleft()
            self._of_tenant[tenant] -= 1
            if not self._of_tenant[tenant]:
                del self._of_tenant[tenant]
