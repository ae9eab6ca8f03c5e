"""Which offset may be committed while records of one partition are finished out of order."""

from collections import deque


class Watermark:
    """The lowest unfinished record of a partition: everything below it is done, nothing from it on may be
    committed (guarantees.md, A5). Pure; one partition, one assignment."""

    def __init__(self) -> None:
        self._taken: deque[int] = deque()
        self._finished: set[int] = set()
        self._next = -1

    def take(self, offset: int) -> None:
        """A record is in flight. Raises ValueError unless offsets rise; gaps are normal (compaction, markers)."""
        if offset < self._next:
            raise ValueError(f"offset {offset} was passed already")
        self._taken.append(offset)
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """A record that was taken is done."""
        self._finished.add(offset)
        while self._taken and self._taken[0] in self._finished:
            self._finished.discard(self._taken.popleft())

    @property
    def position(self) -> int | None:
        """The offset to commit: that of the lowest unfinished record, or the one after the last; None before any."""
        if self._taken:
            return self._taken[0]
        return self._next if self._next >= 0 else None

    @property
    def spread(self) -> int:
        """How many records lie between the lowest unfinished one and the newest, both counted."""
        return len(self._taken)
