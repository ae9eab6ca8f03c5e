"""Results that come from looking into Postgres, not from a record: written and told in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from watchword.dispatch.store import SQL
from watchword.kernel.verdict import Done
from watchword.runtime import acting, outbox
from watchword.runtime.clock import Clock
from watchword.runtime.postgres import Pool
from watchword.runtime.telling import Teller

_NO_CAUSE: Final = acting.Cause()


@dataclass(frozen=True, slots=True)
class Noting:
    """What it takes to write such a result."""

    pool: Pool
    teller: Teller
    clock: Clock

    async def note(self, done: Sequence[Done], verifications: set[UUID], statements: Mapping[str, str]) -> int:
        """Write those of `done` that change anything, verifications locked before attempts as everywhere, and tell
        what changed; answers how many events that were. Raises what Postgres raises."""
        changes = [(_NO_CAUSE, each) for each in done if each.writes]
        if not changes:
            return 0
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.fetch(SQL["hold"], sorted(verifications))
            told = await acting.write(connection, changes, statements)
            now = self.clock.now()
            rows = [acting.outbox_row(each, "dispatch", now) for each in told]
            await outbox.store(connection, rows)
        self.teller.tell_soon(rows)
        return len(rows)
