"""Dealing with dead letters: sending them again to where they came from, or letting them go, and keeping who did it.

A letter is published first and recorded after: a fault in between sends it once more, which changes nothing, where
the other order would lose it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from watchword.dead.letters import Letter, Place
from watchword.runtime.kafka import Cluster
from watchword.runtime.postgres import Pool, connect, statements
from watchword.runtime.publishing import Outgoing, Publisher

REDRIVEN, DISCARDED = "redriven", "discarded"
BATCH_MAX = 100
_SQL = statements("watchword.dead")


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did about one letter."""

    place: Place
    action: str
    reason: str
    done_by: str
    done_at: datetime


@dataclass(frozen=True, slots=True)
class By:
    """Who deals with letters, and why."""

    who: str
    reason: str


class Ledger:
    """The record of what was done."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def done(self) -> list[Action]:
        """Everything done about letters that may still be there, oldest first."""
        rows = await self._pool.fetch(_SQL["done"])
        return [_action(row) for row in rows]

    async def record(self, letters: Sequence[Letter], action: str, by: By) -> int:
        """Note `action` for `letters`; answers for how many nobody had noted one before."""
        topics, partitions, offsets = zip(*(letter.place for letter in letters), strict=True)
        rows = await self._pool.fetch(
            _SQL["record"], list(topics), list(partitions), list(offsets), action, by.reason, by.who
        )
        return len(rows)


@asynccontextmanager
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    """The record, under the operators' role. Raises what Postgres raises."""
    pool = await connect(dsn, worker="operator", connections_max=1)
    try:
        yield Ledger(pool)
    finally:
        await pool.close()


async def redrive(cluster: Cluster, letters: Sequence[Letter], kept: Ledger, by: By, *, rate_per_s: float) -> int:
    """Publish `letters` on the topics they came from, under their old event ids, no faster than `rate_per_s`; answers
    how many. Raises PublishUnknown, and what Postgres raises: what was sent until then is recorded."""
    publisher = Publisher(cluster, client_id="watchword-redrive")
    await publisher.start()
    sent = 0
    try:
        for part in _parts(letters, max(1, min(BATCH_MAX, int(rate_per_s)))):
            await publisher.publish([Outgoing(each.origin, each.key, each.entry.value, each.headers) for each in part])
            await kept.record(part, REDRIVEN, by)
            sent += len(part)
            if sent < len(letters):
                await asyncio.sleep(len(part) / rate_per_s)
    finally:
        await publisher.stop()
    return sent


async def discard(letters: Sequence[Letter], kept: Ledger, by: By) -> int:
    """Let `letters` go; they are not listed any more, and lie in their topic until it drops them."""
    return sum([await kept.record(part, DISCARDED, by) for part in _parts(letters, BATCH_MAX)])


def _parts(letters: Sequence[Letter], size: int) -> Iterable[Sequence[Letter]]:
    return (letters[start : start + size] for start in range(0, len(letters), size))


def _action(row: asyncpg.Record) -> Action:
    place = (row["topic"], row["partition"], row["record_offset"])
    return Action(place, row["action"], row["reason"], row["done_by"], row["done_at"])
