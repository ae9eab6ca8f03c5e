"""When the oldest uncommitted record of a partition was written, found by asking for offsets by time. Pure.

No record is read: whoever looks for lag needs no leave to read the topics, and otp.inbox holds clear numbers. A broker
answers a moment with the first record not older than it; the answers close in on the record at the committed offset.
"""

from dataclasses import dataclass

FIRST_STEP_MS = 1_000
STEP_FACTOR = 4
AGE_MAX_MS = 7 * 86_400_000
EXACT_ENOUGH_MS = 50
EXACT_ENOUGH_SHARE = 20


@dataclass(frozen=True, slots=True)
class Found:
    """The first record not older than the moment asked for."""

    offset: int
    timestamp_ms: int


class Seek:
    """The search in one partition, all moments in milliseconds since 1970. `low_ms` is never after the record looked
    for, `high_ms` never before it, so that an age is never told too small, and at most a twentieth too large."""

    def __init__(self, committed: int, now_ms: int) -> None:
        self._committed = committed
        self._now_ms = now_ms
        self._step_ms = FIRST_STEP_MS
        self._low_ms: int | None = None
        self._high_ms = now_ms
        self._done = False

    @property
    def oldest_ms(self) -> int:
        """The moment found so far."""
        return self._high_ms if self._low_ms is None else self._low_ms

    @property
    def next_ms(self) -> int | None:
        """The moment to ask for next, None when it is known well enough."""
        if self._done:
            return None
        if self._low_ms is None:
            return max(self._now_ms - self._step_ms, 0)
        open_ms = self._high_ms - self._low_ms
        if open_ms <= max(EXACT_ENOUGH_MS, (self._now_ms - self._high_ms) // EXACT_ENOUGH_SHARE):
            return None
        return self._low_ms + open_ms // 2

    def learn(self, asked_ms: int, found: Found | None) -> None:
        """What the broker answered to `asked_ms`; None if every record is older."""
        if found is not None and found.offset <= self._committed:
            self._low_ms = max(asked_ms, min(found.timestamp_ms, self._high_ms))
            self._done = found.offset == self._committed
            return
        self._high_ms = asked_ms
        if self._low_ms is None:
            self._step_ms *= STEP_FACTOR
            self._done = self._now_ms - asked_ms >= AGE_MAX_MS
