"""A lane: so many calls of one account at a time, so many more waiting in line, no more. Pure."""

from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """Who is in and who waits, the nearest deadline in front; among equals who came first. A ticket is whatever the
    caller knows its turn by, hashable."""

    def __init__(self, inside_max: int, line_max: int) -> None:
        self._inside_max = inside_max
        self._line_max = line_max
        self._line: list[tuple[float, int, T]] = []
        self._standing: set[T] = set()
        self._came = 0
        self.inside = 0

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._standing)

    @property
    def full(self) -> bool:
        """Whether the next one would be turned away."""
        return self.waiting >= self._line_max

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for another one to leave."""
        return bool(self._standing) and self.inside >= self._inside_max

    @property
    def calls(self) -> bool:
        """Whether there is room inside for somebody who waits."""
        return bool(self._standing) and self.inside < self._inside_max

    @property
    def open(self) -> bool:
        """Whether nobody waits and there is room inside: whoever comes need not stand in line."""
        return not self._standing and self.inside < self._inside_max

    def come_in(self) -> None:
        """One comes in without having stood in line. Only where the lane is `open`."""
        self.inside += 1

    def stand(self, ticket: T, deadline_s: float) -> bool:
        """Stand in line; False if it is full."""
        if self.full:
            return False
        self._came += 1
        heappush(self._line, (deadline_s, self._came, ticket))
        self._standing.add(ticket)
        return True

    def let_in(self) -> T:
        """The one in front comes in. Only where the lane `calls`."""
        while (ticket := heappop(self._line)[2]) not in self._standing:
            pass  # gave up
        self._standing.discard(ticket)
        self.inside += 1
        return ticket

    def leave(self) -> None:
        """One that was in goes."""
        self.inside -= 1

    def give_up(self, ticket: T) -> bool:
        """One that stood in line goes; False if it had been let in already, and so must `leave`."""
        if ticket not in self._standing:
            return False
        self._standing.discard(ticket)
        if not self._standing:
            self._line.clear()
        return True
