"""A breaker: it stops the calls to what fails, and lets a few through later to see. Pure; times are seconds of any
clock that only goes forward."""

from collections import deque
from enum import StrEnum
from typing import Final

WINDOW_S: Final = 30.0
CALLS_MIN: Final = 20
CALLS_MAX: Final = 100
FAILED_RATIO: Final = 0.5
OPEN_MIN_S: Final = 15.0
OPEN_MAX_S: Final = 60.0
PROBES: Final = 3


class State(StrEnum):
    """`half_open` lets `PROBES` calls through: all must do well for it to close."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Word(StrEnum):
    """What one call says of whoever was called. `gone`: it failed, and many others wait for an answer in vain. `silent`
    says nothing: the call was not made, or ended otherwise."""

    WELL = "well"
    FAILED = "failed"
    REFUSED = "refused"
    GONE = "gone"
    SILENT = "silent"


_ENOUGH: Final = frozenset({Word.REFUSED, Word.GONE})


class Breaker:
    """Opens when half of at least `CALLS_MIN` calls failed within `WINDOW_S`, or when one was refused for who we
    are or says that nobody is there; each time that its probes fail it stays open twice as long (delivery.md,
    section 6.5).

    No more than the last `CALLS_MAX` calls are looked at: those that went well before an outage would hold the breaker
    of a busy account closed for half of `WINDOW_S`, while every user of it is tried there first (decision 0041).
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._open_until_s = 0.0
        self._open_s = OPEN_MIN_S
        self._half_open = False
        self._open = False
        self._probing = 0
        self._well = 0

    def state(self, now_s: float) -> State:
        """Where it stands."""
        if self._open and now_s < self._open_until_s:
            return State.OPEN
        return State.HALF_OPEN if self._open or self._half_open else State.CLOSED

    def lets_through(self, now_s: float) -> bool:
        """Whether a call may be made."""
        if not (self._open or self._half_open):
            return True
        return self.state(now_s) is State.HALF_OPEN and self._probing + self._well < PROBES

    def enter(self, now_s: float) -> bool:
        """Take leave to make a call. Whoever gets it tells `leave` afterwards, whatever happens."""
        if not self.lets_through(now_s):
            return False
        if self._open:
            self._open, self._half_open = False, True
        self._probing += 1
        return True

    def leave(self, word: Word, now_s: float) -> bool:
        """A call that entered is over. Answers whether the breaker opens for what it says."""
        self._probing = max(self._probing - 1, 0)
        if self._open or word is Word.SILENT:
            return False
        if word in _ENOUGH or (self._half_open and word is Word.FAILED):
            self._trip(now_s, again=self._half_open)
        elif self._half_open:
            self._well += 1
            if self._well >= PROBES:
                self._close()
        else:
            self._count(word, now_s)
        return self._open

    def _count(self, word: Word, now_s: float) -> None:
        self._calls.append((now_s, word is Word.FAILED))
        self._failed += word is Word.FAILED
        while len(self._calls) > CALLS_MAX or now_s - self._calls[0][0] > WINDOW_S:
            self._failed -= self._calls.popleft()[1]
        if len(self._calls) >= CALLS_MIN and self._failed >= len(self._calls) * FAILED_RATIO:
            self._trip(now_s, again=False)

    def _trip(self, now_s: float, *, again: bool) -> None:
        self._open_s = min(self._open_s * 2, OPEN_MAX_S) if again else OPEN_MIN_S
        self._open_until_s = now_s + self._open_s
        self._open, self._half_open, self._well = True, False, 0
        self._calls.clear()
        self._failed = 0

    def _close(self) -> None:
        self._half_open, self._well, self._open_s = False, 0, OPEN_MIN_S
