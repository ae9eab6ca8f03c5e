"""The shell of receipts: a door for carriers, a loop that matches, a turn that looks at parked reports again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from msgspec.structs import replace

from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.gateways.contract import Receipt
from watchword.kernel.verdict import Done
from watchword.receipts.callbacks import Unreadable, report_of, reports
from watchword.receipts.decide import ReceiptFacts, Report, alone, decide
from watchword.receipts.door import CarriersDoor
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.parked import ParkedReports
from watchword.receipts.settings import ReceiptsSettings
from watchword.receipts.store import SQL, WRITES_IN_LOCK_ORDER, Meant, looked_at, meant
from watchword.runtime.acting import Told
from watchword.runtime.at_once import AtOnce, Seen
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
    finding = Finding(context, metrics)
    return Step(
        worker="receipts",
        group="receipts",
        reads=READS,
        handles=(ReceiptReceived,),
        gather=finding.gather,
        decide=decide,
        statements=WRITES_IN_LOCK_ORDER,
        merge=once_each,
        at_once=AtOnce(finding.look, recorded_at_once, SQL["record_at_once"]),
        every_s=MATCH_EVERY_S,
    )


def recorded_at_once(verdict: Done) -> tuple[Any, ...] | None:
    """A report that raises an attempt as the row of `record_at_once`, None for every other verdict."""
    if [write.statement for write in verdict.writes] != ["record"]:
        return None
    [write] = verdict.writes
    event = write.emits[0].event
    assert isinstance(event, ReceiptRecorded)
    return (*write.row, event.account)


@dataclass(frozen=True, slots=True)
class _Opened:
    incoming: Incoming
    account: str
    reports: tuple[Report, ...] = ()
    unreadable: str = ""

    @property
    def place(self) -> tuple[TopicPartition, int]:
        """Where the callback lay."""
        return self.incoming.partition, self.incoming.offset


class Finding:
    """Opens the callbacks of a turn and finds the attempts they mean. The loop looks at all of a batch first and
    gathers what of it is left: nothing is opened, or counted, a second time."""

    def __init__(self, context: Context, metrics: ReceiptsMetrics) -> None:
        self._keyring = context.keyring
        self._configuration = context.configuration
        self._metrics = metrics
        self._opened: Mapping[tuple[TopicPartition, int], _Opened] = {}

    async def look(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Seen[ReceiptFacts]]:
        """The reports of callbacks that hold one, and the attempts they mean, of whose verification no other report
        of the batch says anything."""
        opened = [self._open(each) for each in batch]
        self._opened = {one.place: one for one in opened}
        known = await looked_at(connection, told := _told(opened))
        for account, receipt in told:
            self._metrics.heard(account, receipt)
        facts = _facts(opened, known)
        return {
            key: Seen(facts[key], known.newest[verification], str(verification))
            for key, verification in alone(facts).items()
        }

    async def gather(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, ReceiptFacts]:
        """The reports of every callback in the batch and the attempts they mean, locked."""
        opened = [self._opened[each.partition, each.offset] for each in batch]
        return _facts(opened, await meant(connection, _told(opened)))

    def _open(self, incoming: Incoming) -> _Opened:
        event = incoming.event
        assert isinstance(event, ReceiptReceived)
        account = self._configuration.current().account(event.account)
        try:
            found = reports(event, self._keyring, account)
        except Unreadable as error:
            return _Opened(incoming, event.account, unreadable=str(error))
        return _Opened(incoming, event.account, tuple(report_of(found, n, account) for n in range(len(found))))


def _told(opened: Sequence[_Opened]) -> list[tuple[str, Receipt]]:
    return [(one.account, report.receipt) for one in opened for report in one.reports]


def _facts(opened: Sequence[_Opened], known: Meant) -> dict[str, ReceiptFacts]:
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
