"""Whether this process itself has turned all along. Pure; times are seconds of the clock that its timers run on."""

from typing import Final

LOOK_EVERY_S: Final = 0.25
STOOD_STILL_S: Final = 1.0


class Awake:
    """A process that was stopped, or whose machine had no time for it, finds the timers of its calls run out and
    answers that nobody has read: what was heard until then, or not, says nothing of whoever was called (decision 0061).
    That it stood still is told by two looks that lie far from each other, for it looks every `LOOK_EVERY_S`."""

    def __init__(self) -> None:
        self._looked_s = self._since_s = float("-inf")
        self.pauses = -1  # before its first look it has not stood still

    def look(self, now_s: float) -> float:
        """It turns. Answers since when it has done so without standing still."""
        if now_s - self._looked_s > STOOD_STILL_S:
            self._since_s = now_s
            self.pauses += 1
        self._looked_s = now_s
        return self._since_s
