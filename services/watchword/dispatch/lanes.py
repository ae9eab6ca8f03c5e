"""A lane: so many calls of one account at a time, so many more waiting in line, no more. Pure."""

from collections import deque
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Entry(StrEnum):
    """`in`: go. `line`: wait to be called. `full`: not here, not now."""

    IN = "in"
    LINE = "line"
    FULL = "full"


class Lane(Generic[T]):
    """Who is in and who waits, first come first served. A ticket is whatever the caller knows its turn by."""

    def __init__(self, inside_max: int, line_max: int) -> None:
        self._inside_max = inside_max
        self._line_max = line_max
        self._line: deque[T] = deque()
        self.inside = 0

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @property
    def full(self) -> bool:
        """Whether the next one would be turned away."""
        return self.inside >= self._inside_max and len(self._line) >= self._line_max

    def enter(self, ticket: T) -> Entry:
        """Come in, or stand in line, or be turned away."""
        if self.inside < self._inside_max:
            self.inside += 1
            return Entry.IN
        if len(self._line) >= self._line_max:
            return Entry.FULL
        self._line.append(ticket)
        return Entry.LINE

    def leave(self) -> T | None:
        """One that was in goes. The first in line takes its place and is answered, None if nobody stands there."""
        if self._line:
            return self._line.popleft()
        self.inside -= 1
        return None

    def give_up(self, ticket: T) -> bool:
        """One that stood in line goes; False if it had been called in already, and so must `leave`."""
        if ticket not in self._line:
            return False
        self._line.remove(ticket)
        return True
