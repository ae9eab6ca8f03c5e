"""So that nobody who asks for much keeps others from what they ask for: how many of one may be inside, and at work."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager

from watchword.runtime.coalesce import Overloaded


class Crowd:
    """Lets in so many of each, whoever `each` is: a tenant, or a thing that many ask for at once."""

    def __init__(self, of_one_max: int) -> None:
        self._of_one_max = of_one_max
        self._inside: Counter[Hashable] = Counter()

    @contextmanager
    def place(self, whose: Hashable) -> Iterator[None]:
        """Hold it while inside. Raises Overloaded."""
        if self._inside[whose] >= self._of_one_max:
            raise Overloaded("too many of the same are waiting")
        self._inside[whose] += 1
        try:
            yield
        finally:
            self._inside[whose] -= 1
            if not self._inside[whose]:
                del self._inside[whose]


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
