"""The door carriers call: who calls is verified, what they said is kept as it came, and only then they hear 2xx."""

from collections.abc import Sequence
from functools import partial

import structlog

from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account, Callback, Gateway
from watchword.kernel.event import Emit
from watchword.receipts.callbacks import callback_of, receipt_id, sealed
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.settings import ReceiptsSettings
from watchword.runtime import outbox
from watchword.runtime.coalesce import Coalescer
from watchword.runtime.failpoints import reach
from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.outbox import Origin, OutboxRow
from watchword.runtime.problems import Problem
from watchword.runtime.process import Context
from watchword.runtime.publishing import PublishUnknown

log = structlog.get_logger()

BATCH_MAX = 500
KEEP_EVERY_S = 0.03
PATH = "/receipts/{account}"


class CarriersDoor:
    """Takes callbacks. What arrives together is published together; while Kafka is silent it goes into the outbox."""

    def __init__(self, context: Context, settings: ReceiptsSettings, metrics: ReceiptsMetrics) -> None:
        self._context = context
        self._settings = settings
        self._metrics = metrics
        self._keeping: Coalescer[OutboxRow, None] = Coalescer(
            self._keep,
            keys=lambda row: (),
            batch_max=BATCH_MAX,
            every_s=KEEP_EVERY_S,
            observe=metrics.batch_size.observe,
        )

    async def start(self) -> None:
        """Begin to keep what is taken."""
        await self._context.clock.refresh()
        await self._keeping.start()

    async def stop(self) -> None:
        """Keep what was taken, then end."""
        await self._keeping.stop()

    def routes(self) -> list[Route[bytes]]:
        """What to mount on the carriers' door: some carriers call with POST, some with GET."""
        route = partial(
            Route,
            path=PATH,
            request=bytes,
            responses={200: None},
            handler=self.take,
            summary="A carrier's delivery report, signed as its gateway says",
            problems=("not_found", "signature_invalid"),
        )
        return [route(method="POST", name="receipt"), route(method="GET", name="receipt_by_get")]

    async def take(self, call: Call[bytes]) -> Answer:
        """One callback. Raises Problem not_found or signature_invalid, or what means "call again": one of
        `postgres.AWAY`, Overloaded."""
        account = self._context.configuration.current().account(call.params["account"])
        gateway = GATEWAYS.get(account.gateway) if account is not None else None
        if account is None or gateway is None:
            raise Problem("not_found")
        await self._context.clock.refresh()
        callback = callback_of(call.method, self._public_url(call.url), call.headers, call.body)
        if not gateway.verify(callback, account, self._context.clock.now()):
            self._metrics.callbacks.add(account=account.id, outcome="forged")
            log.warning("receipts.forged", account=account.id)
            raise Problem("signature_invalid")
        row = self._row(callback, account, gateway)
        reach("receipts.taken")
        await self._keeping.submit(row, deadline_s=self._settings.deadline_s)
        self._metrics.callbacks.add(account=account.id, outcome="kept")
        return Answer(200, facts_of(account.gateway).acknowledgement.encode())

    def _public_url(self, path_and_query: str) -> str:
        """The address the carrier called, as it wrote it: signatures may cover it."""
        return (self._context.settings.public_receipts_url or self._context.carriers.url).rstrip("/") + path_and_query

    def _row(self, callback: Callback, account: Account, gateway: Gateway) -> OutboxRow:
        now = self._context.clock.now()
        client_ref, provider_id = _references(callback, account, gateway)
        event = ReceiptReceived(
            receipt_id=receipt_id(account.id, callback, self._context.keyring),
            account=account.id,
            gateway=account.gateway,
            received_at=now,
            sealed=sealed(callback, account.id, self._context.keyring),
            client_ref=client_ref,
            provider_id=provider_id,
        )
        return outbox.row(receipt_told(event), Origin("receipts", now), sequence=0)

    async def _keep(self, rows: Sequence[OutboxRow]) -> list[None]:
        """Acknowledged by Kafka, or committed to Postgres: either is enough, neither is 503."""
        try:
            await self._context.publisher.publish(
                [row.outgoing() for row in rows], deadline_s=self._settings.publish_deadline_s
            )
            reach("receipts.acknowledged")
        except PublishUnknown as error:
            log.warning("receipts.kafka_silent", callbacks=len(rows), error=str(error))
            async with self._context.pool.acquire(timeout=5) as connection:
                await outbox.store(connection, rows)
            self._metrics.detours.add(len(rows))
            reach("receipts.detoured")
        return [None] * len(rows)


def receipt_told(event: ReceiptReceived) -> Emit:
    """How a received callback is told. The key keeps one message's reports on one partition."""
    key = f"{event.account}/{event.provider_id or event.client_ref or event.receipt_id}"
    return Emit(event, event.receipt_id, key=key, counted=False)


def _references(callback: Callback, account: Account, gateway: Gateway) -> tuple[str, str]:
    """client_ref and provider id of the first report, "" each if there is none: the matcher says what is wrong with
    such a callback, the carrier has done its part."""
    try:
        found = gateway.receipts(callback, account)
    except ValueError:
        found = []
    return (found[0].client_ref, found[0].provider_id) if found else ("", "")
