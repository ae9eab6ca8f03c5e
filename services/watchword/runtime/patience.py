"""A deadline for each of many tasks, all of one length: one timer for all of them, for hardly any ever rings."""

import asyncio
from types import TracebackType


class Patience:
    """How long one waits for anything: `with patience.within():` raises TimeoutError once it took `seconds`, as
    `asyncio.timeout` does, whose timer is set and cancelled for every call."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._inside: dict[_Stay, None] = {}  # in the order in which they came, so in that of their deadlines
        self._alarm: asyncio.TimerHandle | None = None

    def within(self) -> "_Stay":
        """What the calling task does inside has to be done in time."""
        return _Stay(self)

    def enter(self, stay: "_Stay") -> None:
        """It counts from now."""
        loop = asyncio.get_running_loop()
        stay.until_s = loop.time() + self._seconds
        self._inside[stay] = None
        if self._alarm is None:
            self._alarm = loop.call_at(stay.until_s, self._ring)

    def leave(self, stay: "_Stay") -> None:
        """It is done."""
        self._inside.pop(stay, None)

    def close(self) -> None:
        """Nobody will enter any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for stay in list(self._inside):
            if stay.until_s > now_s:
                self._alarm = loop.call_at(stay.until_s, self._ring)
                return
            del self._inside[stay]
            stay.end()


class _Stay:
    __slots__ = ("_cancelling", "_is_late", "_patience", "_task", "until_s")

    def __init__(self, patience: Patience) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task can be made to stop"
        self._patience = patience
        self._task = task
        self._cancelling = task.cancelling()
        self._is_late = False
        self.until_s = 0.0

    def end(self) -> None:
        """Its time is over."""
        self._is_late = True
        self._task.cancel()

    def __enter__(self) -> None:
        self._patience.enter(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._patience.leave(self)
        # Whoever was cancelled by somebody else as well stays cancelled.
        if self._is_late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
