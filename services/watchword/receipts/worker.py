"""The shell of receipts: a door for carriers, a loop that matches, a turn that looks at parked reports again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.receipts.callbacks import Unreadable, report_of, reports
from watchword.receipts.decide import ReceiptFacts, Report, decide
from watchword.receipts.door import CarriersDoor
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.parked import ParkedReports
from watchword.receipts.settings import ReceiptsSettings
from watchword.receipts.store import WRITES_IN_LOCK_ORDER, meant
from watchword.runtime.acting import Told
from watchword.runtime.incoming import Incoming
from watchword.runtime.keyring import Purpose
from watchword.runtime.loop import Loop, Step
from watchword.runtime.postgres import Connection
from watchword.runtime.process import Context
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller

READS = (topics.RECEIPTS,)
WRITES = (ReceiptReceived, ReceiptRecorded)
KEYS = frozenset({Purpose.RECEIPT, Purpose.ACCOUNT})
MATCH_EVERY_S = 0.2  # no user waits for a receipt


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings, metrics = ReceiptsSettings.load(), ReceiptsMetrics(context.metrics)
    teller = Teller("receipts-parked", publisher=context.publisher, pool=context.pool)
    parked = ParkedReports(context, teller, settings.parked_rows_max, metrics)
    door = CarriersDoor(context, settings, metrics)
    context.carriers.mount(*door.routes())
    return [
        teller,
        Loop.of(matching(context, metrics), context),
        Turning("receipts.parked", parked.turn, pause_s=settings.parked_pause_s),
        door,
    ]


def matching(context: Context, metrics: ReceiptsMetrics) -> Step[ReceiptFacts]:
    """The step that finds the attempts carriers mean."""
    return Step(
        worker="receipts",
        group="receipts",
        reads=READS,
        handles=(ReceiptReceived,),
        gather=partial(gather, context, metrics),
        decide=decide,
        statements=WRITES_IN_LOCK_ORDER,
        merge=once_each,
        every_s=MATCH_EVERY_S,
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    incoming: Incoming
    account: str
    reports: tuple[Report, ...] = ()
    unreadable: str = ""


async def gather(
    context: Context, metrics: ReceiptsMetrics, batch: Sequence[Incoming], connection: Connection
) -> Mapping[str, ReceiptFacts]:
    """The reports of every callback in the batch and the attempts they mean, locked."""
    opened = [_open(context, each) for each in batch]
    told = [(one.account, report.receipt) for one in opened for report in one.reports]
    known = await meant(connection, told)
    for account, receipt in told:
        metrics.heard(account, receipt)
    return {
        one.incoming.key: ReceiptFacts(
            reports=tuple(replace(report, attempt=known.of(one.account, report.receipt)) for report in one.reports),
            unreadable=one.unreadable,
            value=one.incoming.record.value,
        )
        for one in opened
    }


def once_each(told: Sequence[Told]) -> Sequence[Told]:
    """Two callbacks of one batch that say the same of one attempt are one event."""
    return list({(one.emit.subject, one.emit.event.NAME, one.emit.ordinal): one for one in told}.values())


def _open(context: Context, incoming: Incoming) -> _Opened:
    event = incoming.event
    assert isinstance(event, ReceiptReceived)
    account = context.configuration.current().account(event.account)
    try:
        found = reports(event, context.keyring, account)
        told = tuple(report_of(found, number, account) for number in range(len(found)))
        return _Opened(incoming, event.account, told)
    except Unreadable as error:
        return _Opened(incoming, event.account, unreadable=str(error))
