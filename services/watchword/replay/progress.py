"""How far a long reading is, on stderr: nothing for one that is quick, a line every few seconds for one that is not."""

import sys
import time
from collections.abc import Iterable
from typing import TextIO

from watchword.replay.reading import Slice

QUIET_S = 1.0
TERMINAL_EVERY_S = 0.2
ELSEWHERE_EVERY_S = 5.0


class Progress:
    """Counts offsets that were passed and says so from time to time. `told` is given to a reading."""

    def __init__(self, slices: Iterable[Slice], *, out: TextIO | None = None, quiet_s: float = QUIET_S) -> None:
        self._total = sum(each.count for each in slices)
        self._out = sys.stderr if out is None else out
        self._every_s = TERMINAL_EVERY_S if self._out.isatty() else ELSEWHERE_EVERY_S
        self._began = time.monotonic()
        self._next = self._began + quiet_s
        self._passed = 0
        self._spoke = False

    def told(self, count: int) -> None:
        """`count` more offsets were passed."""
        self._passed += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._say()

    def done(self) -> None:
        """The reading is over: the last figure, if there was one before."""
        if self._spoke:
            self._say()
            if self._out.isatty():
                self._out.write("\n")
                self._out.flush()

    def _say(self) -> None:
        self._spoke = True
        rate = self._passed / max(time.monotonic() - self._began, 0.001)
        share = 100 * self._passed // max(self._total, 1)
        line = f"read {self._passed:,} of {self._total:,} records ({share} %), {rate:,.0f}/s"
        self._out.write(f"\r{line}\x1b[K" if self._out.isatty() else f"{line}\n")
        self._out.flush()
