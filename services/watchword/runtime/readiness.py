"""Whether what a process stands on is there: looked at every two seconds, told on /readyz, and never acted upon.

A worker that loses its database or its broker goes on by itself when they are back (guarantees.md, section 2); until
then nobody should send it anything new.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from watchword.runtime.health import Check, Health
from watchword.runtime.http import Door
from watchword.runtime.migrations import expected_level, level
from watchword.runtime.postgres import Pool
from watchword.runtime.publishing import Publisher
from watchword.runtime.stop import Turning, start_all, stop_all

LOOK_EVERY_S = 2.0
LEVEL_EVERY_S = 30.0
ANSWERS_WITHIN_S = 2.0
_STOP_DEADLINE_S = 10.0


class Readiness:
    """The checks `database`, `kafka`, `migrations` and, where there are doors, `doors` of one process."""

    def __init__(self, health: Health, *, dsn: str, pool: Pool, publisher: Publisher, doors: Sequence[Door]) -> None:
        """`pool` and `publisher` are those of any of its workers: all speak to the same servers."""
        self._dsn = dsn
        self._pool = pool
        self._publisher = publisher
        self._doors = doors
        looks = [
            Look(health.check("database"), self._database, LOOK_EVERY_S),
            Look(health.check("kafka"), self._kafka, LOOK_EVERY_S),
            Look(health.check("migrations"), self._migrations, LEVEL_EVERY_S),
        ]
        if doors:
            looks.append(Look(health.check("doors"), self._door, LOOK_EVERY_S))
        self._turnings = [look.turning() for look in looks]

    async def start(self) -> None:
        """Begin to look."""
        await start_all(self._turnings)

    async def stop(self) -> None:
        """Stop looking."""
        await stop_all(self._turnings, deadline_s=_STOP_DEADLINE_S)

    async def _database(self) -> str:
        await self._pool.fetchval("SELECT 1", timeout=ANSWERS_WITHIN_S)
        return ""

    async def _kafka(self) -> str:
        await self._publisher.probe(deadline_s=ANSWERS_WITHIN_S)
        return ""

    async def _migrations(self) -> str:
        found, needed = await level(self._dsn), expected_level()
        return "" if found >= needed else f"at {found}, this version needs {needed}: `watchword migrate`"

    async def _door(self) -> str:
        for door in self._doors:
            address = urlsplit(door.url)
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.close()
            await writer.wait_closed()
        return ""


class Look:
    """One check and how its subject is asked: `ask` answers what is wrong, "" if nothing is, and may raise."""

    def __init__(self, check: Check, ask: Callable[[], Awaitable[str]], every_s: float) -> None:
        self._check = check
        self._ask = ask
        self._every_s = every_s

    def turning(self) -> Turning:
        """The task that asks; after a failure once a second."""
        return Turning(f"ready-{self._check.name}", self.turn, pause_s=self._every_s, patience_s=1.0)

    async def turn(self) -> None:
        """Ask once. Raises what asking raised, TimeoutError past twice `ANSWERS_WITHIN_S`."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S * 2):
                wrong = await self._ask()
        except Exception as error:
            self._check.failing(f"does not answer: {type(error).__name__}")
            raise
        if wrong:
            self._check.failing(wrong)
        else:
            self._check.ok()
