"""A carrier's report is made safe before the carrier hears that it was: acknowledged by Kafka, or, while Kafka is
silent, committed to the outbox. One way for both doors: callbacks over HTTP, and connections that dispatch keeps."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.contract import Account, Callback, Receipt
from watchword.kernel.event import Emit
from watchword.runtime import outbox
from watchword.runtime.clock import Clock
from watchword.runtime.coalesce import Coalescer
from watchword.runtime.evidence import naming_key, receipt_id, sealed
from watchword.runtime.failpoints import reach
from watchword.runtime.keyring import Keyring
from watchword.runtime.outbox import Origin, OutboxRow
from watchword.runtime.postgres import Pool
from watchword.runtime.publishing import Publisher, PublishUnknown

log = structlog.get_logger()

BATCH_MAX: Final = 500
KEEP_EVERY_S: Final = 0.05  # whoever reports one at a time, waiting for each, reports twenty a second


class Keeper:
    """Keeps reports. What arrives together is published together. `worker` is who tells the event."""

    def __init__(
        self,
        worker: str,
        *,
        publisher: Publisher,
        pool: Pool,
        keyring: Keyring,
        clock: Clock,
        publish_deadline_s: float,
        observe: Callable[[int], None] = lambda size: None,
        detoured: Callable[[int], None] = lambda count: None,
    ) -> None:
        """`observe` is told the size of each batch, `detoured` how many went into the outbox."""
        self._worker = worker
        self._publisher = publisher
        self._pool = pool
        self._keyring = keyring
        self._naming_key = naming_key(keyring)
        self._clock = clock
        self._publish_deadline_s = publish_deadline_s
        self._detoured = detoured
        self._keeping: Coalescer[OutboxRow, None] = Coalescer(
            self._keep, keys=lambda row: (), batch_max=BATCH_MAX, every_s=KEEP_EVERY_S, observe=observe
        )

    async def start(self) -> None:
        """Begin to keep what is taken."""
        await self._keeping.start()

    async def stop(self) -> None:
        """Keep what was taken, then end."""
        await self._keeping.stop()

    async def keep(self, callback: Callback, account: Account, first: Receipt | None, *, deadline_s: float) -> None:
        """Safe when this returns. `first` is the first report in it, None where it holds none: the matcher says what
        is wrong with it, the carrier has done its part. Raises what means "tell me again": one of `postgres.AWAY`,
        Overloaded, TimeoutError."""
        now = self._clock.now()
        event = ReceiptReceived(
            receipt_id=receipt_id(account.id, callback, self._naming_key),
            account=account.id,
            gateway=account.gateway,
            received_at=now,
            sealed=sealed(callback, account.id, self._keyring),
            client_ref=first.client_ref if first else "",
            provider_id=first.provider_id if first else "",
        )
        row = outbox.row(receipt_told(event), Origin(self._worker, now), sequence=0)
        reach(f"{self._worker}.taken")
        await self._keeping.submit(row, deadline_s=deadline_s)

    async def _keep(self, rows: Sequence[OutboxRow]) -> list[None]:
        try:
            await self._publisher.publish([row.outgoing() for row in rows], deadline_s=self._publish_deadline_s)
            reach(f"{self._worker}.acknowledged")
        except PublishUnknown as error:
            log.warning(f"{self._worker}.kafka_silent", reports=len(rows), error=str(error))
            async with self._pool.acquire(timeout=5) as connection:
                await outbox.store(connection, rows)
            self._detoured(len(rows))
            reach(f"{self._worker}.detoured")
        return [None] * len(rows)


def receipt_told(event: ReceiptReceived) -> Emit:
    """How a received report is told. The key keeps one message's reports on one partition."""
    key = f"{event.account}/{event.provider_id or event.client_ref or event.receipt_id}"
    return Emit(event, event.receipt_id, key=key, counted=False)
