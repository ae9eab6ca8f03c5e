"""What carriers report over kept connections: safe on otp.receipts, or in the outbox, before they hear that it is."""

import asyncio
from typing import Final, Protocol

import structlog

from watchword.dispatch.metrics import DispatchMetrics
from watchword.gateways.catalog import SESSIONS
from watchword.gateways.contract import Account, Callback, Receipt
from watchword.runtime.keeping import Keeper

log = structlog.get_logger()

KEEP_WITHIN_S: Final = 8.0
STOP_WITHIN_S: Final = 10.0
METHOD: Final = "SESSION"


class Settle(Protocol):
    """Tells the carrier whether its report is safe."""

    def __call__(self, *, kept: bool) -> None:
        """Once for each report."""


class TakeReport(Protocol):
    """Takes a report off a connection. Returns at once; settles it when it is known whether it is safe."""

    def __call__(self, account: Account, report: bytes, settle: Settle) -> None:
        """Once for each report."""


class Reports:
    """Has reports kept, many at a time. How many may wait is bounded by each session."""

    def __init__(self, keeper: Keeper, metrics: DispatchMetrics) -> None:
        self._keeper = keeper
        self._metrics = metrics
        self._keeping: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to keep."""
        await self._keeper.start()

    async def stop(self) -> None:
        """Keep what was taken, then end."""
        if self._keeping:
            await asyncio.wait(set(self._keeping), timeout=STOP_WITHIN_S)
        await self._keeper.stop()

    def take(self, account: Account, report: bytes, settle: Settle) -> None:
        """Have a report kept, and `settle` it then."""
        task = asyncio.create_task(self._keep(account, report, settle), name="dispatch-report")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, account: Account, report: bytes, settle: Settle) -> None:
        callback = Callback(METHOD, f"/receipts/{account.id}", {}, report)
        kept = False
        try:
            await self._keeper.keep(callback, account, _first(callback, account), deadline_s=KEEP_WITHIN_S)
            kept = True
        except Exception as error:  # noqa: BLE001 - whatever the reason, it is not safe, and the carrier must know
            log.warning("dispatch.report_not_kept", account=account.id, error=repr(error))
        settle(kept=kept)
        self._metrics.reports.add(account=account.id, outcome="kept" if kept else "refused")


def _first(callback: Callback, account: Account) -> Receipt | None:
    try:
        return next(iter(SESSIONS[account.gateway].receipts(callback, account)), None)
    except ValueError:
        return None
