"""The door carriers call: who calls is verified, what they said is kept as it came, and only then they hear 2xx."""

from functools import partial

import structlog

from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account, Callback, Gateway, Receipt
from watchword.receipts.callbacks import callback_of
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.settings import ReceiptsSettings
from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.keeping import Keeper
from watchword.runtime.problems import Problem
from watchword.runtime.process import Context

log = structlog.get_logger()

PATH = "/receipts/{account}"
_ACKNOWLEDGED = {name: facts_of(name).acknowledgement.encode() for name in GATEWAYS}


class CarriersDoor:
    """Takes callbacks. What arrives together is published together; while Kafka is silent it goes into the outbox."""

    def __init__(self, context: Context, settings: ReceiptsSettings, metrics: ReceiptsMetrics) -> None:
        self._context = context
        self._settings = settings
        self._metrics = metrics
        self._keeper = Keeper(
            "receipts",
            publisher=context.publisher,
            pool=context.pool,
            keyring=context.keyring,
            clock=context.clock,
            publish_deadline_s=settings.publish_deadline_s,
            observe=metrics.batch_size.observe,
            detoured=metrics.detours.add,
        )

    async def start(self) -> None:
        """Begin to keep what is taken."""
        await self._context.clock.refresh()
        await self._keeper.start()

    async def stop(self) -> None:
        """Keep what was taken, then end."""
        await self._keeper.stop()

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
        first = _first(callback, account, gateway)
        await self._keeper.keep(callback, account, first, deadline_s=self._settings.deadline_s)
        self._metrics.callbacks.add(account=account.id, outcome="kept")
        return Answer(200, _ACKNOWLEDGED[account.gateway])

    def _public_url(self, path_and_query: str) -> str:
        """The address the carrier called, as it wrote it: signatures may cover it."""
        return (self._context.settings.public_receipts_url or self._context.carriers.url).rstrip("/") + path_and_query


def _first(callback: Callback, account: Account, gateway: Gateway) -> Receipt | None:
    """The first report, None if there is none: the matcher says what is wrong with such a callback, the carrier has
    done its part."""
    try:
        return next(iter(gateway.receipts(callback, account)), None)
    except ValueError:
        return None
