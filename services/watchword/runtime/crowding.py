"""So that nobody who asks for much keeps others from what they ask for: how many of one may be inside, and at work."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from types import TracebackType

from watchword.runtime.coalesce import Overloaded


class Crowd:
    """Lets in so many of each, whoever `each` is: a tenant, or a thing that many ask for at once."""

    def __init__(self, of_one_max: int) -> None:
        self._of_one_max = of_one_max
        self._inside: dict[Hashable, int] = {}

    def place(self, whose: Hashable) -> "_Place":
        """Hold it while inside. Entering raises Overloaded."""
        return _Place(self, whose)

    def enter(self, whose: Hashable) -> None:
        """Whoever is let in must `leave`. Raises Overloaded."""
        inside = self._inside.get(whose, 0)
        if inside >= self._of_one_max:
            raise Overloaded("too many of the same are waiting")
        self._inside[whose] = inside + 1

    def leave(self, whose: Hashable) -> None:
        """One that was let in goes."""
        left = self._inside[whose] - 1
        if left:
            self._inside[whose] = left
        else:
            del self._inside[whose]


class _Place:
    """A class, for a generator costs as much again as what it does here, at each check."""

    __slots__ = ("_crowd", "_whose")

    def __init__(self, crowd: Crowd, whose: Hashable) -> None:
        self._crowd = crowd
        self._whose = whose

    def __enter__(self) -> None:
        self._crowd.enter(self._whose)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._crowd.leave(self._whose)


class Turnstile:
    """A few at a time, others wait for a while, and only so many of one."""

    def __init__(self, at_once_max: int, *, of_one_max: int, wait_max_s: float) -> None:
        self._crowd = Crowd(of_one_max)
        self._room = asyncio.Semaphore(at_once_max)
        self._wait_max_s = wait_max_s

    @asynccontextmanager
    async def passage(self, whose: Hashable) -> AsyncIterator[None]:
        """Hold it while at work. Raises Overloaded, also where the wait was too long."""
        with self._crowd.place(whose):
            try:
                await asyncio.wait_for(self._room.acquire(), self._wait_max_s)
            except TimeoutError:
                raise Overloaded("nobody in front got done") from None
            try:
                yield
            finally:
                self._room.release()
