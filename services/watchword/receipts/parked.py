"""Reports that came before their attempt was known are looked at again until it is.

Dispatch learns the provider's id when the gateway answers, and some carriers report before that. The transaction that
stores the id makes what is parked under it due at once; beside that each parked report comes up again by itself, soon
at first, then ever more seldom.
"""

import structlog
from msgspec.structs import replace

from watchword.events import envelope
from watchword.events.catalog import decode
from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.verdict import Done, Write
from watchword.receipts.callbacks import Unreadable, report_of, reports
from watchword.receipts.decide import Report, decide_parked
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.store import SQL, WRITES_IN_LOCK_ORDER, meant
from watchword.runtime import acting
from watchword.runtime.failpoints import reach
from watchword.runtime.process import Context
from watchword.runtime.telling import Teller

log = structlog.get_logger()

_TYPE = envelope.type_of(ReceiptReceived)
_NO_CAUSE = acting.Cause()
BATCHES_A_TURN_MAX = 20


class ParkedReports:
    """Looks at parked reports again, one transaction a batch."""

    def __init__(self, context: Context, teller: Teller, rows_max: int, metrics: ReceiptsMetrics) -> None:
        self._context = context
        self._teller = teller
        self._rows_max = rows_max
        self._metrics = metrics

    async def turn(self) -> None:
        """Deal with those that are due, going on at once while a batch is full. Raises what Postgres raises."""
        await self._context.clock.refresh()
        for _ in range(BATCHES_A_TURN_MAX):
            if await self._batch() < self._rows_max:
                return

    async def _batch(self) -> int:
        """Deal with some of those that are due; answers how many."""
        accounts = sorted(self._context.configuration.current().accounts)
        async with self._context.pool.acquire(timeout=5) as connection, connection.transaction():
            rows = await connection.fetch(SQL["parked"], accounts, self._rows_max)
            if not rows:
                return 0
            read = [(row["id"], row["event"], *self._read(row["id"], row["event"])) for row in rows]
            known = await meant(connection, [(event.account, one.receipt) for *_, event, one in read if one])
            done = [
                decide_parked(event, parked, replace(one, attempt=known.of(event.account, one.receipt)), value)
                if one
                else Done((Write("look_later", parked, ()),))
                for parked, value, event, one in read
            ]
            told = await acting.write(connection, [(_NO_CAUSE, each) for each in done], WRITES_IN_LOCK_ORDER)
            now = self._context.clock.now()
            letters = [acting.outbox_row(each, "receipts", now) for each in told]
            settled = await self._teller.store(connection, letters)
            reach("receipts.unparked")
        self._teller.forget(settled)
        self._teller.tell_soon(letters)
        self._metrics.unparked.add(sum(each.writes[-1].statement == "unpark" for each in done))
        return len(rows)

    def _read(self, parked: str, value: bytes) -> tuple[ReceiptReceived, Report | None]:
        """The event of a parked row and the report it is about, None where it cannot be read now: its account may
        come back, and after its time it is buried."""
        event = decode(_TYPE, value)
        assert isinstance(event, ReceiptReceived)
        number = int(parked.rpartition("/")[2])
        account = self._context.configuration.current().account(event.account)
        try:
            found = reports(event, self._context.keyring, account)
        except Unreadable as error:
            log.warning("receipts.parked_unreadable", account=event.account, error=str(error))
            return event, None
        return event, report_of(found, number, account) if number < len(found) else None
