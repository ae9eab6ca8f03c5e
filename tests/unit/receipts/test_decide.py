"""What a carrier's callback changes, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import Facts, shared
from watchword.gateways.contract import Receipt
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Dead, Done
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState
from watchword.receipts.decide import PATIENCE, AttemptFacts, ReceiptFacts, Report, decide, decide_parked

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VERIFICATION = UUID("0195f000-0000-7000-8000-000000000001")
ATTEMPT = attempt_id(VERIFICATION, 1, 1)
ABOUT = Facts(
    verification_id=VERIFICATION,
    tenant="shop",
    number_token="token",
    country="IN",
    range="+91987654",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=1,
    expires_at=NOW + timedelta(seconds=300),
)
EVENT = ReceiptReceived(receipt_id="r1", account="echo-1", gateway="echo", received_at=NOW, sealed="AQ==")
KNOWN = AttemptFacts(ABOUT, ATTEMPT, "echo-1", receipt_rank=0, accepted_at=NOW - timedelta(seconds=3))
DELIVERED = Receipt(ReceiptState.DELIVERED, client_ref=str(ATTEMPT), provider_id="m-1", raw_code="000", network="40445")


def facts(*reports: tuple[Receipt, AttemptFacts | None]) -> ReceiptFacts:
    return ReceiptFacts(tuple(Report(n, *one) for n, one in enumerate(reports)), value=b"{}")


def done(verdict: object) -> Done:
    assert isinstance(verdict, Done)
    return verdict


def test_a_receipt_that_says_more_is_recorded() -> None:
    [write] = done(decide(EVENT, facts((DELIVERED, KNOWN)), NOW)).writes
    [emit] = write.emits
    assert (write.statement, write.row) == ("record", (ATTEMPT, 90, "delivered", "m-1", NOW))
    assert isinstance(emit.event, ReceiptRecorded)
    assert (emit.event.state, emit.event.lag_ms, emit.event.network) == (ReceiptWord.DELIVERED, 3_000, "40445")
    assert (emit.subject, emit.ordinal, emit.key) == (str(ATTEMPT), 90, str(VERIFICATION))


@pytest.mark.parametrize("state", ReceiptState)
def test_a_receipt_that_says_no_more_than_is_known_changes_nothing(state: ReceiptState) -> None:
    known = replace(KNOWN, receipt_rank=RECEIPT_RANK[state])
    assert done(decide(EVENT, facts((replace(DELIVERED, state=state), known)), NOW)) == Done.unchanged()


def test_of_several_reports_of_one_attempt_the_highest_counts() -> None:
    enroute = replace(DELIVERED, state=ReceiptState.ENROUTE)
    for order in ((enroute, DELIVERED), (DELIVERED, enroute)):
        [write] = done(decide(EVENT, facts(*((one, KNOWN) for one in order)), NOW)).writes
        assert write.row[2] == "delivered"


def test_a_report_of_an_unknown_attempt_is_parked_with_the_event_as_it_came() -> None:
    [write] = done(decide(EVENT, facts((DELIVERED, None)), NOW)).writes
    assert (write.statement, write.key) == ("park", "r1/0")
    assert write.row == ("echo-1", str(ATTEMPT), "m-1", b"{}", PATIENCE)


def test_a_callback_with_a_known_and_an_unknown_report_records_one_and_parks_the_other() -> None:
    writes = done(decide(EVENT, facts((DELIVERED, None), (DELIVERED, KNOWN)), NOW)).writes
    assert [(write.statement, write.key) for write in writes] == [
        ("record", f"{ATTEMPT}/delivered"), ("park", "r1/0"),
    ]  # fmt: skip


def test_a_callback_that_cannot_be_read_is_buried() -> None:
    assert decide(EVENT, ReceiptFacts(unreadable="no report"), NOW) == Dead("unreadable_receipt", "no report")


def test_a_callback_without_reports_changes_nothing() -> None:
    assert decide(EVENT, facts(), NOW) == Done.unchanged()


def test_an_event_of_another_kind_changes_nothing() -> None:
    other = CodeChecked(**shared(ABOUT), result=CheckResult.WRONG, check_no=1, checks_left=4)
    assert decide(other, None, NOW) == Done.unchanged()


def test_a_parked_report_waits_until_its_attempt_is_known() -> None:
    waiting = decide_parked(EVENT, "r1/0", Report(0, DELIVERED))
    matched = decide_parked(EVENT, "r1/0", Report(0, DELIVERED, KNOWN))
    late = decide_parked(EVENT, "r1/0", Report(0, DELIVERED, replace(KNOWN, receipt_rank=90)))
    assert [write.statement for write in waiting.writes] == ["look_later"]
    assert [write.statement for write in matched.writes] == ["record", "unpark"]
    assert [write.statement for write in late.writes] == ["unpark"]


@pytest.mark.parametrize(("accepted_at", "lag_ms"), [(None, 0), (NOW + timedelta(seconds=5), 0)])
def test_a_receipt_before_the_gateways_answer_has_no_lag(accepted_at: datetime | None, lag_ms: int) -> None:
    [write] = done(decide(EVENT, facts((DELIVERED, replace(KNOWN, accepted_at=accepted_at))), NOW)).writes
    event = write.emits[0].event
    assert isinstance(event, ReceiptRecorded)
    assert event.lag_ms == lag_ms
