"""The one contract of everything that runs for long: start, then stop in order, within a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

log = structlog.get_logger()


class Service(Protocol):
    """Something that runs until it is told to stop."""

    async def start(self) -> None:
        """Become ready, or raise: a service that started is working."""

    async def stop(self) -> None:
        """Stop taking work, finish what is in flight within its own deadline, let go of everything."""


async def start_all(services: Sequence[Service]) -> None:
    """Start in order; if one fails, stop those that had started, in reverse, and raise its error."""
    started: list[Service] = []
    try:
        for service in services:
            await service.start()
            started.append(service)
    except BaseException:
        await stop_all(started, deadline_s=10)
        raise


async def stop_all(services: Sequence[Service], *, deadline_s: float) -> None:
    """Stop in reverse order, each within `deadline_s`; an error in one never keeps the others running."""
    for service in reversed(services):
        try:
            async with asyncio.timeout(deadline_s):
                await service.stop()
        except Exception as error:  # noqa: BLE001 - the rest must stop whatever happened here
            log.error("runtime.stop_failed", service=type(service).__name__, error=repr(error))


class Turning:
    """A background task that repeats `turn` until stopped; an error in a turn is logged and waited out.

    `pause_s` lies between two turns, `patience_s` after a failed one.
    """

    def __init__(
        self, name: str, turn: Callable[[], Awaitable[None]], *, pause_s: float, patience_s: float = 1.0
    ) -> None:
        self.name = name
        self._turn = turn
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin turning."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Finish the turn in progress and end."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            pause_s = self._pause_s
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - a turn that failed is tried again; nothing is lost by it
                log.warning("runtime.turn_failed", task=self.name, error=repr(error))
                pause_s = self._patience_s
            await asyncio.wait({stopping}, timeout=pause_s)
