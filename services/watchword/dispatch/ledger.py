"""Claims, results and what else is told, each group-committed: those that come together share one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from watchword.dispatch.decide.tell import Conclusion
from watchword.dispatch.store import SQL, Ask, Claim, Store, concluded_at_once
from watchword.runtime import acting, at_once
from watchword.runtime.acting import Cause, Told
from watchword.runtime.at_once import Move
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.coalesce import Coalescer
from watchword.runtime.failpoints import reach
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import TOO_MUCH_AT_ONCE, Connection, Pool
from watchword.runtime.telling import Teller

BATCH_MAX: Final = 300
DEADLINE_S: Final = 12.0
# A message waits for its claim; nobody but the lease waits for a result.
CLAIM_EVERY_S: Final = 0.005
RECORD_EVERY_S: Final = 0.05


class Recorded(msgspec.Struct, frozen=True):
    """What became of a conclusion: whether the attempt was still ours, whether the try that follows at once is,
    and the publishing of its events."""

    ours: bool
    follows: bool
    published: "asyncio.Future[bool]"


class Ledger:
    """Every claim, every result and every event of this process goes through here."""

    def __init__(self, store: Store, pool: Pool, teller: Teller, clock: DatabaseClock) -> None:
        self._store = store
        self._pool = pool
        self._teller = teller
        self._clock = clock
        self._publishing: set[asyncio.Task[bool]] = set()
        # What is about one row, and a lock on it that somebody frozen holds, is no matter of the others in its batch.
        of_one = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, *TOO_MUCH_AT_ONCE)
        self._claims: Coalescer[Ask, Claim | None] = Coalescer(
            self._claim,
            keys=lambda ask: (ask.attempt_id,),
            batch_max=BATCH_MAX,
            isolates=of_one,
            every_s=CLAIM_EVERY_S,
        )
        self._results: Coalescer[tuple[Cause, Conclusion], Recorded] = Coalescer(
            self._record,
            keys=lambda ending: (ending[1].attempt.about.verification_id,),
            batch_max=BATCH_MAX,
            isolates=of_one,
            every_s=RECORD_EVERY_S,
        )
        self._at_once: Coalescer[Move, Recorded | None] = Coalescer(
            self._record_at_once,
            keys=lambda move: (move.verification,),
            batch_max=BATCH_MAX,
            isolates=of_one,
            every_s=RECORD_EVERY_S,
        )
        self._tellings: Coalescer[OutboxRow, asyncio.Future[bool]] = Coalescer(
            self._tell, keys=lambda row: (row.id,), batch_max=BATCH_MAX, isolates=of_one, every_s=RECORD_EVERY_S
        )

    async def start(self) -> None:
        """Begin to commit."""
        await self._claims.start()
        await self._at_once.start()
        await self._results.start()
        await self._tellings.start()

    async def stop(self) -> None:
        """Commit what waits, publish what was committed."""
        await self._claims.stop()
        await self._at_once.stop()
        await self._results.stop()
        await self._tellings.stop()
        if self._publishing:
            await asyncio.wait(set(self._publishing))

    async def claim(self, ask: Ask) -> Claim | None:
        """The attempt, if it is ours now; None if it is somebody else's, over, or no longer wanted.

        Raises one of `postgres.AWAY` or Overloaded; whether the claim was made is then unknown.
        """
        return await self._claims.submit(ask, deadline_s=DEADLINE_S)

    async def record(self, cause: Cause, conclusion: Conclusion, seq: int | None = None) -> Recorded:
        """Write what an attempt came to, if it is still ours. Raises as `claim` does; a repeat changes nothing.

        What nothing follows is written at once if nothing was told of its verification since the event numbered `seq`,
        its newest when the attempt was claimed; all else under the verification's lock.
        """
        move = concluded_at_once(cause, conclusion, seq) if seq is not None else None
        if move is not None and (recorded := await self._at_once.submit(move, deadline_s=DEADLINE_S)) is not None:
            return recorded
        return await self._results.submit((cause, conclusion), deadline_s=DEADLINE_S)

    async def tell(self, row: OutboxRow) -> "asyncio.Future[bool]":
        """Commit an event that no attempt belongs to, and begin to publish it. Raises as `claim` does."""
        return await self._tellings.submit(row, deadline_s=DEADLINE_S)

    async def _claim(self, asks: Sequence[Ask]) -> Sequence[Claim | None]:
        claims = await self._store.claim(asks)
        reach("dispatch.claimed")
        return claims

    async def _tell(self, rows: "Sequence[OutboxRow]") -> "Sequence[asyncio.Future[bool]]":
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            settled = await self._teller.store(connection, rows)
        self._teller.forget(settled)
        return [self._publish(rows)] * len(rows)

    async def _record_at_once(self, moves: Sequence[Move]) -> Sequence[Recorded | None]:
        """One statement for the results that still hold; None for the others."""
        now = self._clock.now()
        rows = {move.verification: [acting.outbox_row(each, "dispatch", now) for each in move.told] for move in moves}
        settled = self._teller.settled
        reach("dispatch.before_result")
        async with self._pool.acquire(timeout=5) as connection:
            done = await at_once.write(connection, SQL["conclude_at_once"], moves, rows, settled)
        reach("dispatch.result_committed")
        self._teller.forget(settled)
        published = self._publish([row for verification in rows if verification in done for row in rows[verification]])
        return [Recorded(True, False, published) if move.verification in done else None for move in moves]

    async def _record(self, endings: Sequence[tuple[Cause, Conclusion]]) -> Sequence[Recorded]:
        reach("dispatch.before_locked_result")
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            told, following, rows = await self._write(connection, endings)
            settled = await self._teller.store(connection, rows)
        reach("dispatch.locked_result_committed")
        self._teller.forget(settled)
        published = self._publish(rows)
        ours = {id(each.emit) for each in told}
        return [
            Recorded(
                id(ending.done.writes[0].emits[0]) in ours,
                ending.follow is not None and ending.follow.id in following,
                published,
            )
            for _, ending in endings
        ]

    async def _write(
        self, connection: Connection, endings: Sequence[tuple[Cause, Conclusion]]
    ) -> "tuple[list[Told], frozenset[object], list[OutboxRow]]":
        told, following = await self._store.conclude(connection, endings)
        now = self._clock.now()
        return told, frozenset(following), [acting.outbox_row(each, "dispatch", now) for each in told]

    def _publish(self, rows: Sequence[OutboxRow]) -> "asyncio.Future[bool]":
        """Publish beside the next commit: what is not acknowledged stays in the outbox."""
        task = asyncio.create_task(self._teller.tell(rows), name="dispatch-publishing")
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return task
