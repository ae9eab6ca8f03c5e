"""What a carrier's callback changes, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec import structs

from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import Facts, shared
from watchword.gateways.contract import Receipt
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Dead, Done
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState
from watchword.receipts.decide import (
    PATIENCE,
    AttemptFacts,
    ReceiptFacts,
    Report,
    alone,
    decide,
    decide_again,
    decide_parked,
)

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
DUE = ABOUT.expires_at + timedelta(minutes=10)
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
    assert (write.statement, write.row) == ("record", (ATTEMPT, 90, "delivered", "m-1", NOW, DUE))
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


def test_alone_is_who_says_by_its_only_report_what_no_other_callback_says_anything_of() -> None:
    other = UUID("0195f000-0000-7000-8000-000000000002")
    elsewhere = replace(KNOWN, about=structs.replace(ABOUT, verification_id=other), attempt_id=attempt_id(other, 1, 1))
    beside = replace(KNOWN, attempt_id=attempt_id(VERIFICATION, 1, 2))
    one, stranger, empty = facts((DELIVERED, KNOWN)), facts((DELIVERED, None)), facts()

    assert alone({"a": one, "b": facts((DELIVERED, elsewhere))}) == {"a": VERIFICATION, "b": other}
    assert alone({"a": one, "b": stranger, "c": empty}) == {"a": VERIFICATION}
    assert alone({"a": one, "b": facts((DELIVERED, beside))}) == {}, "two tries of one verification"
    assert alone({"a": facts((DELIVERED, KNOWN), (DELIVERED, elsewhere))}) == {}
    assert alone({"a": facts((DELIVERED, KNOWN), (DELIVERED, None))}) == {}
    assert alone({"a": one, "b": facts((DELIVERED, None), (DELIVERED, KNOWN))}) == {}


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
    waiting = decide_parked(EVENT, "r1/0", Report(0, DELIVERED), b"{}")
    matched = decide_parked(EVENT, "r1/0", Report(0, DELIVERED, KNOWN), b"{}")
    late = decide_parked(EVENT, "r1/0", Report(0, DELIVERED, replace(KNOWN, receipt_rank=90)), b"{}")
    assert [write.statement for write in waiting.writes] == ["look_later"]
    assert [write.statement for write in matched.writes] == ["record", "unpark"]
    assert [write.statement for write in late.writes] == ["unpark"]


@pytest.mark.parametrize(("accepted_at", "lag_ms"), [(None, 0), (NOW + timedelta(seconds=5), 0)])
def test_a_receipt_before_the_gateways_answer_has_no_lag(accepted_at: datetime | None, lag_ms: int) -> None:
    [write] = done(decide(EVENT, facts((DELIVERED, replace(KNOWN, accepted_at=accepted_at))), NOW)).writes
    event = write.emits[0].event
    assert isinstance(event, ReceiptRecorded)
    assert event.lag_ms == lag_ms


def part(number: int, state: ReceiptState = ReceiptState.DELIVERED, parts: int = 0) -> Receipt:
    return replace(DELIVERED, state=state, part=number, parts=parts)


THREE = replace(KNOWN, segments=3)


def test_a_delivered_part_is_remembered_and_tells_the_whole_only_with_the_others() -> None:
    writes = done(decide(EVENT, facts((part(1), THREE), (part(3), THREE)), NOW)).writes
    assert [(write.statement, write.row[1:3]) for write in writes] == [
        ("record_part", (0b001, 0b111)), ("record_part", (0b100, 0b111)),
    ]  # fmt: skip
    assert {emit.ordinal for write in writes for emit in write.emits} == {90}


def test_the_carriers_own_count_of_parts_comes_before_ours() -> None:
    [write] = done(decide(EVENT, facts((part(2, parts=2), KNOWN)), NOW)).writes
    assert (write.statement, write.row[1:3]) == ("record_part", (0b10, 0b11))


def test_a_part_that_failed_fails_the_whole() -> None:
    [write] = done(decide(EVENT, facts((part(2, ReceiptState.UNDELIVERED), THREE)), NOW)).writes
    assert (write.statement, write.row[2]) == ("record", "undelivered")


@pytest.mark.parametrize(
    ("segments", "number"), [(1, 1), (0, 1), (3, 0), (31, 31)]
)  # the only part, one of an unknown number, the whole, more than can be remembered
def test_a_report_that_is_not_one_of_several_is_of_the_whole(segments: int, number: int) -> None:
    [write] = done(decide(EVENT, facts((part(number), replace(KNOWN, segments=segments))), NOW)).writes
    assert (write.statement, write.row[2]) == ("record", "delivered")


@pytest.mark.parametrize(("counts", "taken"), [("first", 1), ("last", 3)])
def test_an_account_may_take_one_parts_word_for_the_whole(counts: str, taken: int) -> None:
    told = [Report(number, part(number), THREE, counts) for number in (1, 2, 3)]
    for report in told:
        writes = done(decide(EVENT, ReceiptFacts((report,)), NOW)).writes
        assert [write.statement for write in writes] == (["record"] if report.number == taken else [])


ODD = replace(DELIVERED, state=ReceiptState.UNKNOWN, unmapped="zzz")


def test_a_report_in_words_that_no_map_has_counts_as_unknown_and_is_kept_as_it_came() -> None:
    record, keep = done(decide(EVENT, facts((ODD, KNOWN)), NOW)).writes
    assert (record.statement, record.row[2]) == ("record", "unknown")
    assert (keep.statement, keep.key, keep.row) == ("keep_unmapped", "r1/0", ("echo-1", "echo", "zzz", b"{}", NOW))


def test_a_failure_whose_code_nobody_knows_counts_as_one_and_is_kept_as_it_came() -> None:
    told = replace(DELIVERED, state=ReceiptState.UNDELIVERED, unmapped="failed/977")
    record, keep = done(decide(EVENT, facts((told, KNOWN)), NOW)).writes
    assert (record.statement, record.row[2]) == ("record", "undelivered")
    assert (keep.statement, keep.row[2]) == ("keep_unmapped", "failed/977")


def test_it_is_kept_once_its_attempt_is_known_and_even_if_more_is_known_already() -> None:
    assert [write.statement for write in done(decide(EVENT, facts((ODD, None)), NOW)).writes] == ["park"]
    later = decide_parked(EVENT, "r1/0", Report(0, ODD, replace(KNOWN, receipt_rank=90)), b"{}")
    assert [write.statement for write in later.writes] == ["keep_unmapped", "unpark"]


def test_once_its_word_has_a_state_it_counts_and_is_kept_no_longer() -> None:
    assert decide_again(EVENT, "r1/0", Report(0, ODD, KNOWN)) == Done.unchanged()
    counts = decide_again(EVENT, "r1/0", Report(0, DELIVERED, KNOWN))
    assert [write.statement for write in counts.writes] == ["record", "remap"]
    known = decide_again(EVENT, "r1/0", Report(0, DELIVERED, replace(KNOWN, receipt_rank=90)))
    assert [write.statement for write in known.writes] == ["remap"]
