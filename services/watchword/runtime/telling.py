"""Publishing what a transaction committed, and deleting it from the outbox with the next one.

Every worker that writes the outbox owns one Teller. Whatever it does not get done (the broker is away, the queue is
full, the process dies) stays in the outbox, and `timers` publishes it under the same event ids.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from uuid import UUID

import structlog

from watchword.runtime import outbox
from watchword.runtime.failpoints import reach
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import AWAY, Connection, Pool
from watchword.runtime.publishing import Publisher, PublishUnknown

log = structlog.get_logger()

ROWS_WAITING_MAX = 20_000
ROWS_BATCH_MAX = 1_000
SETTLE_IDLE_S = 0.5
SETTLED_MAX = 20_000


class Teller:
    """Publishes committed outbox rows and remembers which of them Kafka has acknowledged.

    `tell` waits for the acknowledgement; `tell_soon` returns at once and publishes in the background, batches
    growing while the previous one is under way. A worker with several names them apart by `stage`.
    """

    def __init__(self, stage: str, *, publisher: Publisher, pool: Pool) -> None:
        self._stage = stage
        self._publisher = publisher
        self._pool = pool
        self._waiting: deque[OutboxRow] = deque()
        self._settled: list[UUID] = []
        self._settled_at = 0.0
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to publish in the background."""
        self._task = asyncio.create_task(self._run(), name=f"teller-{self._stage}")

    async def stop(self) -> None:
        """Publish what waits, delete what was published, end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._settle_now()

    async def tell(self, rows: Sequence[OutboxRow]) -> bool:
        """Publish `rows` now; answers whether Kafka has them. If not they stay in the outbox."""
        if not rows:
            return True
        try:
            await self._publisher.publish([row.outgoing() for row in rows])
        except PublishUnknown as error:
            log.warning("runtime.publish_unknown", stage=self._stage, error=str(error))
            return False
        reach(f"{self._stage}.published")
        if self._quiet:
            self._wake.set()
        room = max(SETTLED_MAX - len(self._settled), 0)
        self._settled.extend(row.id for row in rows[:room])
        self._settled_at = time.monotonic()
        return True

    def tell_soon(self, rows: Sequence[OutboxRow]) -> None:
        """Publish `rows` in the background. Beyond `ROWS_WAITING_MAX` they are left to the sweep."""
        if len(self._waiting) + len(rows) <= ROWS_WAITING_MAX:
            self._waiting.extend(rows)
            self._wake.set()

    async def store(self, connection: Connection, rows: Sequence[OutboxRow]) -> list[UUID]:
        """Within the caller's transaction, store `rows` and delete what was published since; answers the ids of the
        latter, for `forget` once committed."""
        ids = list(self._settled)
        await outbox.store(connection, rows, settled=ids)
        return ids

    @property
    def settled(self) -> list[UUID]:
        """What was published since and may be deleted, for a statement that does so itself; then `forget` it."""
        return list(self._settled)

    def forget(self, ids: Sequence[UUID]) -> None:
        """The transaction that deleted `ids` has committed."""
        if ids:
            gone = set(ids)
            self._settled = [each for each in self._settled if each not in gone]

    async def settle_idle(self) -> None:
        """With no next transaction to ride on, delete what was published in one of its own."""
        if self._settled and time.monotonic() - self._settled_at >= SETTLE_IDLE_S:
            await self._settle_now()

    @property
    def _quiet(self) -> bool:
        """Whether nothing was published for a while and nothing is left to delete: then the task sleeps until it is
        woken. While it is not, nobody has to wake it, for it looks often."""
        return not self._settled and time.monotonic() - self._settled_at >= SETTLE_IDLE_S

    async def _settle_now(self) -> None:
        if not self._settled:
            return
        try:
            async with self._pool.acquire(timeout=5) as connection:
                ids = await self.store(connection, ())
        except AWAY as error:
            log.info("runtime.settle_later", stage=self._stage, error=repr(error))
            return
        self.forget(ids)

    async def _run(self) -> None:
        waker: asyncio.Task[bool] | None = None
        while self._waiting or not self._stopping:
            if self._waiting:
                rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), ROWS_BATCH_MAX))]
                await self.tell(rows)
                continue
            self._wake.clear()
            if waker is None or waker.done():
                waker = asyncio.create_task(self._wake.wait())
            await asyncio.wait({waker}, timeout=None if self._quiet else SETTLE_IDLE_S)
            await self.settle_idle()
        if waker is not None:
            waker.cancel()
