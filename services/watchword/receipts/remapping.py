"""Reports that came in words or codes no map had: what there is of them, and reading them again once it is mended.

Reading again is idempotent: a report that counts now is taken out of what is kept in the transaction in which it
counts, and one that still has no map stays. Its events go out by way of the outbox, as those of a worker do.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from msgspec.structs import replace

from watchword.events import envelope
from watchword.events.catalog import decode
from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.verdict import Done
from watchword.receipts.callbacks import Unreadable, report_of, reports
from watchword.receipts.decide import Report, decide_again
from watchword.receipts.store import SQL, WRITES_IN_LOCK_ORDER, meant
from watchword.runtime import acting, outbox
from watchword.runtime.clock import Clock
from watchword.runtime.configuration import Configuration
from watchword.runtime.keyring import Keyring
from watchword.runtime.postgres import Connection, Pool

ROWS_A_BATCH_MAX = 200
_TYPE = envelope.type_of(ReceiptReceived)
_NO_CAUSE = acting.Cause()


@dataclass(frozen=True, slots=True)
class Unmapped:
    """One word of one gateway that has no state, or word and code whose reason nobody knows, told through one account
    so many times."""

    gateway: str
    account: str
    raw_code: str
    reports: int
    first_at: datetime
    last_at: datetime


@dataclass(slots=True)
class Remapped:
    """What reading again came to: reports by the state they have now, those that are still not understood, and how many
    attempts are better known by it: none by a reason alone, since one failure does not rise above another."""

    by_state: Counter[str] = field(default_factory=Counter)
    still_unmapped: int = 0
    raised: int = 0


async def unmapped(pool: Pool) -> list[Unmapped]:
    """What is kept, the most frequent first."""
    return [Unmapped(**row) for row in await pool.fetch(SQL["unmapped"])]


async def remap(
    pool: Pool, configuration: Configuration, keyring: Keyring, clock: Clock, *, dry_run: bool = False
) -> Remapped:
    """Read everything again that is kept, a transaction a batch. `dry_run` changes nothing and says what would be."""
    told, last = Remapped(), ""
    while True:
        async with pool.acquire(timeout=5) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                rows = await connection.fetch(SQL["unmapped_after"], last, ROWS_A_BATCH_MAX)
                await _batch(connection, rows, configuration, keyring, clock, told)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback() if dry_run else transaction.commit())
        if not rows:
            return told
        last = rows[-1]["id"]


async def _batch(
    connection: Connection,
    rows: list[asyncpg.Record],
    configuration: Configuration,
    keyring: Keyring,
    clock: Clock,
    told: Remapped,
) -> None:
    read = [(row["id"], *_read(row["id"], row["event"], configuration, keyring)) for row in rows]
    known = await meant(connection, [(event.account, report.receipt) for _, event, report in read if report])
    done: list[tuple[acting.Cause, Done]] = []
    for kept, event, report in read:
        if report is None or report.receipt.unmapped:
            told.still_unmapped += 1
            continue
        told.by_state[report.receipt.state.value] += 1
        attempt = known.of(event.account, report.receipt)
        done.append((_NO_CAUSE, decide_again(event, kept, replace(report, attempt=attempt))))
    changed = await acting.write(connection, done, WRITES_IN_LOCK_ORDER)
    events = {(each.emit.subject, each.emit.ordinal): each for each in changed}
    told.raised += len(events)
    await outbox.store(connection, [acting.outbox_row(each, "receipts", clock.now()) for each in events.values()])


def _read(
    kept: str, value: bytes, configuration: Configuration, keyring: Keyring
) -> tuple[ReceiptReceived, Report | None]:
    """The event of a kept row and the report it is about; None where it cannot be read with what is applied now."""
    event = decode(_TYPE, value)
    assert isinstance(event, ReceiptReceived)
    account = configuration.account(event.account)
    number = int(kept.rpartition("/")[2])
    try:
        found = reports(event, keyring, account)
    except Unreadable:
        return event, None
    return event, report_of(found, number, account) if number < len(found) else None
