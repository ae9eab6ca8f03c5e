"""Receipts that were parked and whose attempt never appeared: they go to the dead topic, as they came."""

from datetime import datetime

import asyncpg
from msgspec.structs import replace

from watchword.events import envelope, topics
from watchword.events.catalog import decode
from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.event import Emit
from watchword.kernel.ids import event_id
from watchword.runtime import outbox
from watchword.runtime.failpoints import reach
from watchword.runtime.outbox import Origin, OutboxRow
from watchword.timers.overdue import Means
from watchword.timers.store import SQL

UNMATCHED = "unmatched_receipt"
_STAGE = "parked_receipts"


class ParkedTooLong:
    """Buries parked receipts past their time."""

    def __init__(self, rows_max: int, means: Means) -> None:
        self._rows_max = rows_max
        self._pool = means.pool
        self._clock = means.clock
        self._teller = means.teller
        self._metrics = means.metrics

    async def turn(self) -> None:
        """Bury what is past its time now, one transaction. Raises what Postgres raises."""
        await self._clock.refresh()
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            parked = await connection.fetch(SQL["parked_too_long"], self._rows_max)
            letters = [letter(row, self._clock.now()) for row in parked]
            await outbox.store(connection, letters)
            reach("timers.burying")
        reach("timers.buried")
        oldest_s = max(((self._clock.now() - row["parked_until"]).total_seconds() for row in parked), default=0.0)
        self._metrics.tell_overdue(_STAGE, oldest_s)
        if letters:
            self._metrics.dealt_with.add(len(letters), stage=_STAGE)
            self._metrics.buried.add(len(letters), stage=_STAGE, reason=UNMATCHED)
            self._teller.tell_soon(letters)


def letter(row: asyncpg.Record, now: datetime) -> OutboxRow:
    """The dead letter of one parked receipt: the event's own bytes and headers, and why."""
    event = decode(envelope.type_of(ReceiptReceived), row["event"])
    assert isinstance(event, ReceiptReceived)
    key = f"{event.account}/{event.provider_id or event.client_ref or event.receipt_id}"
    alive = outbox.row(Emit(event, event.receipt_id, key=key, counted=False), Origin("receipts", now), sequence=0)
    why = (
        ("wwd_reason", UNMATCHED.encode()),
        ("wwd_detail", b"no attempt with its reference appeared in time"),
        ("wwd_topic", topics.RECEIPTS.encode()),
    )
    return replace(
        alive,
        id=event_id(f"parked/{row['id']}", "dead"),
        topic=topics.dead(topics.RECEIPTS),
        value=row["event"],
        headers=(*alive.headers, *why),
    )
