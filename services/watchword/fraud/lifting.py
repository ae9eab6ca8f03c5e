"""Lifting what fraud says of a feature, and taking that back: told, and noted with who and why.

The word on `otp.risk-levels` is what every mirror heeds within a moment, whether or not the judge runs; the one on
`otp.signals` lets the judge begin anew.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import structlog

from watchword.events import topics
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Facts, Signals
from watchword.fraud.decide.redispatch import RefusedSend, again
from watchword.kernel.document import read_stored
from watchword.kernel.event import Emit
from watchword.kernel.feature import lift_key, shard_of
from watchword.kernel.policy import Policy
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Cause
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.kafka import Cluster
from watchword.runtime.outbox import Origin
from watchword.runtime.postgres import Connection, Pool, connect, statements
from watchword.runtime.publishing import Outgoing, Publisher, PublishUnknown
from watchword.runtime.telling import Teller

MANUAL = "manual"
NOT_TOLD = "Kafka did not take it"
OPERATOR = "operator"
REFUSED_SENDS_MAX = 1_000
REACHED_WITHIN_S = 3.0
SETTLING_S = 2.0
"""How long a send is left alone that was assessed and not issued: codes is at it, or fraud refused it."""

log = structlog.get_logger()
_SQL = statements("watchword.fraud", "lifting.sql")


@dataclass(frozen=True, slots=True)
class By:
    """Who lifts, and why."""

    who: str
    reason: str


class Lifted(msgspec.Struct, frozen=True):
    """A feature that is lifted, until when, by whom and why."""

    feature: str
    until: datetime
    reason: str
    by: str
    at: datetime


class Lift(msgspec.Struct, frozen=True):
    """What a lift, or taking one back, came to. Where `told` is False Kafka did not take it, and nothing is changed."""

    feature: str
    until: datetime
    told: bool


class Lifting:
    """Lifts, one operator's command long. Every method raises what Postgres raises."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        self._pool = pool
        self._clock = DatabaseClock(pool)
        self._publisher = publisher
        self._teller = Teller(OPERATOR, publisher=publisher, pool=pool)

    async def lift(self, feature: str, by: By, lasts: timedelta) -> Lift:
        """Nothing said of `feature` counts for as long as `lasts`, and the judge begins anew with it. It is noted
        before it is told, and the note taken back if Kafka did not take it. Kafka is reached before either, so that
        between the note and the first send let through lies a moment and no connection being made."""
        with suppress(PublishUnknown):  # what is told next says so
            await self._publisher.probe(deadline_s=REACHED_WITHIN_S)
        await self._clock.refresh()
        now, identity = self._clock.now(), uuid4()
        until = now + lasts
        await self._note(feature, "lifted", until, by)
        told = await self._tell(_lifting(feature, until, identity, now))
        if not told:
            await self._note(feature, "restored", now, By(by.who, NOT_TOLD))
        return Lift(feature, until, told)

    async def restore(self, feature: str, by: By) -> Lift:
        """What is said of `feature` counts again. It is told before it is noted: a fault in between leaves nothing
        unguarded."""
        await self._clock.refresh()
        now = self._clock.now()
        told = await self._tell([Outgoing(topics.RISK_LEVELS, lift_key(feature).encode(), None, ())])
        if told:
            await self._note(feature, "restored", now, by)
        return Lift(feature, now, told)

    async def ask_again(self, feature: str) -> int:
        """One more send for every live verification whose last one was refused and that counts under `feature`;
        answers how many. Those that codes may be about to send are seen twice before they count."""
        tenant = feature.rpartition("@")[2]
        before = {(each.about.verification_id, each.sends_requested) for each in await self._refused(tenant)}
        if not before:
            return 0
        await asyncio.sleep(SETTLING_S)
        await self._clock.refresh()
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            still = [
                each
                for each in await _refused_sends(connection, tenant)
                if (each.about.verification_id, each.sends_requested) in before
            ]
            now = self._clock.now()
            done = [(Cause(), each) for each in again(still, feature, now)]
            told = await acting.write(connection, done, {"ask_again": _SQL["ask_again"]})
            rows = [acting.outbox_row(each, OPERATOR, now) for each in told]
            await self._teller.store(connection, rows)
        await self._teller.tell(rows)
        return len(rows)

    async def stop(self) -> None:
        """Delete what was told from the outbox."""
        await self._teller.stop()

    async def _note(self, feature: str, action: str, until: datetime, by: By) -> None:
        await self._pool.execute(_SQL["note_lift"], uuid4(), feature, action, until, by.reason, by.who)

    async def _tell(self, records: Sequence[Outgoing]) -> bool:
        try:
            await self._publisher.publish(records)
        except PublishUnknown as error:
            log.warning("fraud.lift_untold", error=str(error))
            return False
        return True

    async def _refused(self, tenant: str) -> list[RefusedSend]:
        async with self._pool.acquire(timeout=5) as connection:
            return await _refused_sends(connection, tenant)


@asynccontextmanager
async def lifting(cluster: Cluster, dsn: str) -> AsyncIterator[Lifting]:
    """Where an operator's command lifts. Raises what Postgres raises; Kafka may be away."""
    pool = await connect(dsn, worker=OPERATOR, connections_max=1)
    publisher = Publisher(cluster, client_id="watchword-lift")
    try:
        made = Lifting(pool, publisher)
        yield made
        await made.stop()
    finally:
        await publisher.stop()
        await pool.close()


async def lifts(dsn: str) -> list[Lifted]:
    """What is lifted now, by feature. Raises what Postgres raises."""
    pool = await connect(dsn, worker=OPERATOR, connections_max=1)
    try:
        rows = await pool.fetch(_SQL["lifts"])
    finally:
        await pool.close()
    return [Lifted(row["feature"], row["until_at"], row["reason"], row["done_by"], row["done_at"]) for row in rows]


def _lifting(feature: str, until: datetime, identity: UUID, now: datetime) -> list[Outgoing]:
    """The word to the mirrors, under a key of its own, and the one to the judge."""
    reason = Reason(code=MANUAL, value=1.0, threshold=1.0, feature=feature)
    key = lift_key(feature)
    level = RiskLevelSet(feature=key, level=RiskLevel.NORMAL, until=until, ruleset=MANUAL, reasons=(reason,))
    seen = Observation(feature=feature, kind=SignalKind.LIFTED, at=now, signal_id=f"lift:{identity}")
    shard = shard_of(feature)
    signal = SignalObserved(shard=shard, observations=(seen,))
    ordinal = int(now.timestamp() * 1_000)
    emits = (
        Emit(level, key, ordinal, counted=False),
        Emit(signal, f"lift:{identity}", key=str(shard), counted=False),
    )
    return [outbox.row(emit, Origin(OPERATOR, now), sequence=0).outgoing() for emit in emits]


async def _refused_sends(connection: Connection, tenant: str) -> list[RefusedSend]:
    rows = await connection.fetch(_SQL["refused_sends"], tenant, REFUSED_SENDS_MAX)
    return [_refused_send(row) for row in rows]


def _refused_send(row: asyncpg.Record) -> RefusedSend:
    return RefusedSend(
        about=Facts(**{name: row[name] for name in Facts.__struct_fields__}),
        signals=msgspec.convert(row["signals"], Signals),
        rules=read_stored(row["rules"], Policy),
        sends_requested=row["sends_requested"],
    )
