"""What a carrier's callback changes. Pure: reports and the attempts they mean come in, a verdict goes out.

Receipts only ever raise what is known of an attempt (the lattice of kernel/verification.py), so repeats, reordering
and late ones change nothing; and nothing here touches the state of a verification.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import Facts, shared
from watchword.gateways.contract import Receipt
from watchword.kernel.event import Emit, Event
from watchword.kernel.verdict import Dead, Done, Verdict, Write
from watchword.kernel.verification import RECEIPT_RANK, merge

PATIENCE = timedelta(minutes=15)
_LAG_MS_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """An attempt as receipts sees it. `accepted_at` is when the gateway answered, None before."""

    about: Facts
    attempt_id: UUID
    account: str
    receipt_rank: int
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a callback, `number` from 0, and the attempt it means, None if no attempt is known by its
    references, or only one that was sent through another account."""

    number: int
    receipt: Receipt
    attempt: AttemptFacts | None = None


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What a callback holds: its reports, or why it cannot be read. `value` is the event as it came."""

    reports: tuple[Report, ...] = ()
    unreadable: str = ""
    value: bytes = field(default=b"", repr=False)


def decide(event: Event, facts: ReceiptFacts | None, now: datetime) -> Verdict:
    """What one callback leads to. Total: every well-formed event has a verdict."""
    if not isinstance(event, ReceiptReceived) or facts is None:
        return Done.unchanged()
    if facts.unreadable:
        return Dead("unreadable_receipt", facts.unreadable)
    known = [report for report in facts.reports if report.attempt is not None]
    strangers = [report for report in facts.reports if report.attempt is None]
    return Done(writes=(*raised(event, known), *(_park(event, report, facts.value) for report in strangers)))


def decide_parked(event: ReceiptReceived, parked: str, report: Report) -> Done:
    """A parked report is dealt with once its attempt is known, and looked at again later while it is not."""
    if report.attempt is None:
        return Done((Write("look_later", parked, ()),))
    return Done((*raised(event, [report]), Write("unpark", parked, ())))


def raised(event: ReceiptReceived, reports: Iterable[Report]) -> tuple[Write, ...]:
    """One write for each attempt of which the reports say more than is known: the most that is said of it."""
    most: dict[UUID, Report] = {}
    for report in reports:
        if report.attempt is None or RECEIPT_RANK[report.receipt.state] <= report.attempt.receipt_rank:
            continue
        other = most.get(report.attempt.attempt_id)
        if other is None or merge(other.receipt.state, report.receipt.state) is not other.receipt.state:
            most[report.attempt.attempt_id] = report
    return tuple(_record(event, report.receipt, report.attempt) for report in most.values() if report.attempt)


def _record(event: ReceiptReceived, receipt: Receipt, attempt: AttemptFacts) -> Write:
    rank = RECEIPT_RANK[receipt.state]
    recorded = ReceiptRecorded(
        **shared(attempt.about),
        attempt_id=attempt.attempt_id,
        account=event.account,
        state=ReceiptWord(receipt.state.value),
        provider_id=receipt.provider_id,
        raw_code=receipt.raw_code,
        network=receipt.network,
        provider_time=receipt.provider_time,
        lag_ms=_lag_ms(attempt.accepted_at, event.received_at),
    )
    told = Emit(recorded, str(attempt.attempt_id), rank, key=str(attempt.about.verification_id))
    row = (attempt.attempt_id, rank, receipt.state.value, receipt.provider_id, event.received_at)
    return Write("record", f"{attempt.attempt_id}/{receipt.state.value}", row, (told,))


def _park(event: ReceiptReceived, report: Report, value: bytes) -> Write:
    row = (event.account, report.receipt.client_ref, report.receipt.provider_id, value, PATIENCE)
    return Write("park", f"{event.receipt_id}/{report.number}", row)


def _lag_ms(accepted_at: datetime | None, received_at: datetime) -> int:
    if accepted_at is None:
        return 0
    return min(max(int((received_at - accepted_at).total_seconds() * 1_000), 0), _LAG_MS_MAX)
