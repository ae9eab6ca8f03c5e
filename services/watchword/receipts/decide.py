"""What a carrier's callback changes. Pure: reports and the attempts they mean come in, a verdict goes out.

Receipts only ever raise what is known of an attempt (the lattice of kernel/verification.py), so repeats, reordering
and late ones change nothing; and nothing here touches the state of a verification.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import Facts, shared
from watchword.gateways.contract import Receipt
from watchword.kernel.deadline import receipt_deadline
from watchword.kernel.event import Emit, Event
from watchword.kernel.verdict import Dead, Done, Verdict, Write
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState, merge

PATIENCE = timedelta(minutes=15)
_PARTS_MAX = 30  # bits of the column that remembers them; texts have ten at most
_LAG_MS_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """An attempt as receipts sees it. `accepted_at` is when the gateway answered, None before; `segments` the parts
    it was sent in, 0 if that is not known."""

    about: Facts
    attempt_id: UUID
    account: str
    receipt_rank: int
    segments: int = 0
    accepted_at: datetime | None = None


class Report(msgspec.Struct, frozen=True):
    """One report of a callback, `number` from 0, and the attempt it means, None if no attempt is known by its
    references, or only one that was sent through another account. `counts` is which part's word its account takes:
    "all", "first" or "last"."""

    number: int
    receipt: Receipt
    attempt: AttemptFacts | None = None
    counts: str = "all"


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
    parked = (_park(event, report, facts.value) for report in strangers)
    return Done(writes=(*raised(event, known), *unmapped(event, known, facts.value), *parked))


def alone(facts: Mapping[str, ReceiptFacts]) -> Mapping[str, UUID]:
    """The verifications, by callback, of which it says something by its only report, and no other callback does."""
    meant = {
        key: [report.attempt.about.verification_id for report in each.reports if report.attempt is not None]
        for key, each in facts.items()
    }
    times = Counter(verification for each in meant.values() for verification in each)
    return {key: each[0] for key, each in meant.items() if len(facts[key].reports) == len(each) == 1 == times[each[0]]}


def decide_parked(event: ReceiptReceived, parked: str, report: Report, value: bytes) -> Done:
    """A parked report is dealt with once its attempt is known, and looked at again later while it is not."""
    if report.attempt is None:
        return Done((Write("look_later", parked, ()),))
    return Done((*raised(event, [report]), *unmapped(event, [report], value), Write("unpark", parked, ())))


def decide_again(event: ReceiptReceived, kept: str, report: Report) -> Done:
    """A report that was kept because no map had its word or code: where one has it by now it counts, and is kept no
    longer."""
    if report.receipt.unmapped:
        return Done.unchanged()
    return Done((*raised(event, [report]), Write("remap", kept, ())))


def unmapped(event: ReceiptReceived, reports: Iterable[Report], value: bytes) -> tuple[Write, ...]:
    """One write for each report in words or codes that no map has: its event is kept as it came."""
    return tuple(
        Write(
            "keep_unmapped",
            f"{event.receipt_id}/{report.number}",
            (event.account, event.gateway, report.receipt.unmapped, value, event.received_at),
        )
        for report in reports
        if report.receipt.unmapped
    )


def raised(event: ReceiptReceived, reports: Iterable[Report]) -> tuple[Write, ...]:
    """One write for each attempt of which the reports say more than is known: the most that is said of it; and one for
    each delivered part of a message that is delivered only with all of them."""
    told = [report for report in reports if _counts(report)]
    parts = [report for report in told if _of_several(report)]
    return (*_whole(event, [report for report in told if report not in parts]), *(_part(event, one) for one in parts))


def _counts(report: Report) -> bool:
    """Whether the account takes this part's word for the whole."""
    part, last = report.receipt.part, _parts(report)
    return part == 0 or {"first": part == 1, "last": part == last}.get(report.counts, True)


def _of_several(report: Report) -> bool:
    """Whether the report says that one part of several arrived, and the others are needed as well. That one of them
    did not says it of the whole."""
    several = report.receipt.part > 0 and 1 < _parts(report) <= _PARTS_MAX
    return several and report.counts == "all" and report.receipt.state is ReceiptState.DELIVERED


def _parts(report: Report) -> int:
    known = report.attempt.segments if report.attempt else 0
    return max(report.receipt.parts or known, report.receipt.part)


def _whole(event: ReceiptReceived, reports: Iterable[Report]) -> tuple[Write, ...]:
    most: dict[UUID, Report] = {}
    for report in reports:
        if report.attempt is None or RECEIPT_RANK[report.receipt.state] <= report.attempt.receipt_rank:
            continue
        other = most.get(report.attempt.attempt_id)
        if other is None or merge(other.receipt.state, report.receipt.state) is not other.receipt.state:
            most[report.attempt.attempt_id] = report
    return tuple(_record(event, report.receipt, report.attempt) for report in most.values() if report.attempt)


def _record(event: ReceiptReceived, receipt: Receipt, attempt: AttemptFacts) -> Write:
    rank, state = RECEIPT_RANK[receipt.state], receipt.state.value
    row = (attempt.attempt_id, rank, state, receipt.provider_id, event.received_at, _due_at(attempt))
    return Write("record", f"{attempt.attempt_id}/{state}", row, (_told(event, receipt, attempt),))


def _part(event: ReceiptReceived, report: Report) -> Write:
    """A delivered part; if it was the last that was missing, the whole is told as delivered."""
    attempt, receipt = report.attempt, report.receipt
    assert attempt is not None
    bits = (1 << (receipt.part - 1), (1 << _parts(report)) - 1)
    row = (attempt.attempt_id, *bits, receipt.provider_id, event.received_at, _due_at(attempt))
    return Write("record_part", f"{attempt.attempt_id}/{receipt.part}", row, (_told(event, receipt, attempt),))


def _due_at(attempt: AttemptFacts) -> datetime:
    return receipt_deadline(attempt.about.expires_at)


def _told(event: ReceiptReceived, receipt: Receipt, attempt: AttemptFacts) -> Emit:
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
    rank = RECEIPT_RANK[receipt.state]
    return Emit(recorded, str(attempt.attempt_id), rank, key=str(attempt.about.verification_id))


def _park(event: ReceiptReceived, report: Report, value: bytes) -> Write:
    row = (event.account, report.receipt.client_ref, report.receipt.provider_id, value, PATIENCE)
    return Write("park", f"{event.receipt_id}/{report.number}", row)


def _lag_ms(accepted_at: datetime | None, received_at: datetime) -> int:
    if accepted_at is None:
        return 0
    return min(max(int((received_at - accepted_at).total_seconds() * 1_000), 0), _LAG_MS_MAX)
