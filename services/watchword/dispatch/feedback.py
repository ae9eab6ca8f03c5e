"""Providers that take it into account are told whether the code in their message was typed (decision 0054).

It is worth less than any code: it has calls of its own, few at a time, and what becomes of them says nothing of whether
an account can send. Each account is for itself, so that a provider who hangs is waited for by its own feedback alone.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from watchword.dispatch.calling import Caller, Gate, Silence
from watchword.dispatch.decide.feedback import Due, Noted, conclude, decide, put_back
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.store import SQL
from watchword.gateways.catalog import TELLABLE, facts_of
from watchword.gateways.contract import Account, Conversion
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import State
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.configuration import Configuration
from watchword.runtime.failpoints import reach
from watchword.runtime.postgres import Pool, columns
from watchword.runtime.stop import Turning

log = structlog.get_logger()

ROWS_A_ROUND_MAX: Final = 50
CALLS_MAX: Final = 8  # at a time, to one account
CALL_WITHIN_S: Final = 3.0
HELD_FOR: Final = timedelta(seconds=90)  # a round is over in a quarter of it, whatever the provider does
REST_S: Final = 10.0  # after an answer that did not come, or a request to wait
PAUSE_S: Final = 1.0
_NOTED_WIDTH: Final = 4
_UNWRITABLE: Final = Outcome(OutcomeClass.CONFIGURATION, raw_code="unwritable")


class Feedback:
    """Sees to it that there is a lane for every account that has feedback, as it is configured now."""

    def __init__(
        self, pool: Pool, current: Callable[[], Configuration], clock: DatabaseClock, metrics: DispatchMetrics
    ) -> None:
        self._pool = pool
        self._current = current
        self._clock = clock
        self._metrics = metrics
        self._lanes: dict[str, Lane] = {}
        self._turning = Turning("dispatch.feedback", self.turn, pause_s=PAUSE_S)

    async def start(self) -> None:
        """Begin to tell."""
        await self._turning.start()

    async def stop(self) -> None:
        """Tell nothing more; what is under way has `CALL_WITHIN_S` to end."""
        await self._turning.stop()
        await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))

    async def turn(self) -> None:
        """Begin lanes that are wanted, end those that are not."""
        accounts = self._current().accounts.values()
        wanted = {each.id: each for each in accounts if each.feedback and each.gateway in TELLABLE}
        over = [account for account, lane in self._lanes.items() if wanted.get(account) != lane.account]
        await asyncio.gather(*(self._lanes.pop(account).stop() for account in over))
        for account in wanted.values():
            if account.id not in self._lanes:
                lane = self._lanes[account.id] = Lane(account, self._pool, self._clock, self._metrics)
                await lane.start()


class Lane:
    """One account. Made while the event loop runs."""

    def __init__(self, account: Account, pool: Pool, clock: DatabaseClock, metrics: DispatchMetrics) -> None:
        self.account = account
        self._gateway = TELLABLE[account.gateway]
        self._takes = facts_of(account.gateway).capabilities.feedback
        self._pool = pool
        self._clock = clock
        self._metrics = metrics
        self._caller = Caller(CALLS_MAX)
        self._room = asyncio.Semaphore(CALLS_MAX)
        self._silent = False
        self._stopping = False
        self._rests_until_s = 0.0
        self._turning = Turning(f"dispatch.feedback.{account.id}", self.turn, pause_s=PAUSE_S)

    async def start(self) -> None:
        """Begin to tell."""
        await self._turning.start()

    async def stop(self) -> None:
        """Call nobody any more, note what has been told, let go of the connections."""
        self._stopping = True
        await self._turning.stop()
        await self._caller.close()

    async def turn(self) -> None:
        """Tell what is due, a round at a time. Raises what Postgres raises."""
        if time.monotonic() < self._rests_until_s:
            return
        await self._clock.refresh()
        while not self._stopping and await self._round() == ROWS_A_ROUND_MAX:
            if self._silent:
                return

    async def _round(self) -> int:
        rows = await self._pool.fetch(SQL["to_tell"], self.account.id, ROWS_A_ROUND_MAX, HELD_FOR)
        if not rows:
            return 0
        reach("dispatch.feedback")
        self._silent = False
        noted = await asyncio.gather(*(self._tell(_due(row)) for row in rows))
        if self._silent:
            self._rests_until_s = time.monotonic() + REST_S
        await self._note(noted)
        return len(rows)

    async def _tell(self, due: Due) -> Noted:
        told = decide(due, self._takes, self._clock.now())
        if isinstance(told, Noted):
            return told
        async with self._room:
            if self._silent or self._stopping:
                return put_back(due, self._clock.now())
            outcome = await self._call(told)
        if outcome is None or outcome.kind is OutcomeClass.THROTTLED:
            self._silent = True
        return conclude(due, told, outcome, self._clock.now())

    async def _call(self, told: Conversion) -> Outcome | None:
        """What the provider answered; None where it did not."""
        try:
            request = self._gateway.encode_feedback(told, self.account)
        except ValueError:
            return _UNWRITABLE
        reply = await self._caller.call(request, Gate(lambda: ""), timeout_s=CALL_WITHIN_S)
        if isinstance(reply, Silence):
            log.info("dispatch.feedback_unanswered", account=self.account.id, error=reply.word)
            return None
        return self._gateway.decode_feedback(reply.status, reply.headers, reply.body, self.account)

    async def _note(self, noted: Sequence[Noted]) -> None:
        """Verifications are locked before attempts, as everywhere."""
        rows = [(each.due.attempt_id, each.due.held_until, each.look_at, each.tries) for each in noted]
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.fetch(SQL["hold"], sorted({each.due.verification_id for each in noted}))
            await connection.execute(SQL["note_told"], *columns(rows, _NOTED_WIDTH))
        for each in noted:
            self._metrics.feedback.add(outcome=each.word.value, account=self.account.id)


def _due(row: Any) -> Due:
    return Due(
        attempt_id=row["id"],
        verification_id=row["verification_id"],
        provider_id=row["provider_id"],
        tries=row["tries"],
        held_until=row["held_until"],
        state=State(row["state"]),
        ended_at=row["ended_at"],
        expires_at=row["expires_at"],
        carried=row["carried"],
    )
