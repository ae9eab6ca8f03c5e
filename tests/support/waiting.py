"""Waiting for facts. The only place in the tests where a timer runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_PAUSE_MIN_S = 0.001
_PAUSE_MAX_S = 0.05

Fact = TypeVar("Fact")


async def eventually(probe: Callable[[], Awaitable[Fact]], *, within_s: float, what: str) -> Fact:
    """Asks `probe` until its answer is true, and returns that answer.

    It asks at once, then after 1, 2, 4 … 50 ms. Errors of the probe are the test's: they pass through. Raises
    AssertionError that names `what` and the last answer when `within_s` is over, even in the middle of a probe.
    """
    seen: Fact | None = None
    pause_s = _PAUSE_MIN_S
    deadline = asyncio.timeout(within_s)
    try:
        async with deadline:
            while not (seen := await probe()):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)
            return seen
    except TimeoutError:
        if not deadline.expired():
            raise
        raise AssertionError(f"waited {within_s:g} s for {what}; last seen: {seen!r}") from None


async def paced(seconds: float) -> None:
    """Lets `seconds` pass. For generators of load, whose pace is the clock; a test waits on facts instead."""
    if seconds > 0:
        await asyncio.sleep(seconds)
