"""One question about everything that may be overdue; only what is gets a turn of its own.

Mostly nothing is, and asking each kind by itself, in a transaction of its own, would cost ten times as much.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from watchword.runtime.postgres import Pool
from watchword.runtime.stop import Turning

log = structlog.get_logger()

ANSWER_WITHIN_S: Final = 5.0
PATIENCE_S: Final = 1.0


class Looking:
    """Asks `question` again and again, and begins the turn of every kind of which something is overdue.

    The answer is one row that says yes or no in a column named as the kind, and is shown to `tell`. Turns run side by
    side, one of a kind at a time, so that a kind that takes long holds up no other; an error in one is logged and
    waited out.
    """

    def __init__(
        self,
        question: str,
        arguments: Sequence[object],
        turns: Mapping[str, Callable[[], Awaitable[None]]],
        *,
        pool: Pool,
        tell: Callable[[Mapping[str, Any]], None],
        pause_s: float,
    ) -> None:
        self._question = question
        self._arguments = arguments
        self._turns = turns
        self._pool = pool
        self._tell = tell
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._turning = Turning("timers.look", self.look, pause_s=pause_s)

    async def start(self) -> None:
        """Begin to look."""
        await self._turning.start()

    async def stop(self) -> None:
        """Look no more, and let turns under way end."""
        self._stopping.set()
        await self._turning.stop()
        if self._under_way:
            await asyncio.wait(set(self._under_way.values()))

    async def look(self) -> None:
        """Look once. Raises what Postgres raises."""
        answer = await self._pool.fetchrow(self._question, *self._arguments, timeout=ANSWER_WITHIN_S)
        assert answer is not None, "the question answers one row"
        self._tell(dict(answer))
        for kind, turn in self._turns.items():
            if answer[kind] and kind not in self._under_way:
                self._under_way[kind] = asyncio.create_task(self._take(kind, turn), name=f"timers.{kind}")

    async def _take(self, kind: str, turn: Callable[[], Awaitable[None]]) -> None:
        try:
            await turn()
        except Exception as error:  # noqa: BLE001 - a turn that failed is tried again; nothing is lost by it
            log.warning("runtime.turn_failed", task=f"timers.{kind}", error=repr(error))
            await self._pause()
        finally:
            del self._under_way[kind]

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._stopping.wait()
        except TimeoutError:
            return
