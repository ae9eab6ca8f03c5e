"""The receipt lattice: however receipts are shuffled, repeated and batched, an attempt ends with the highest rank."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from watchword.events.receipt_received import ReceiptReceived
from watchword.events.verification import Facts
from watchword.gateways.contract import Receipt
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Done
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState
from watchword.receipts.decide import AttemptFacts, ReceiptFacts, Report, decide

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
FRESH = AttemptFacts(ABOUT, ATTEMPT, "echo-1", receipt_rank=0)

states = st.lists(st.sampled_from(ReceiptState), min_size=1, max_size=12)


def after(callbacks: Sequence[Sequence[ReceiptState]]) -> tuple[int, list[int]]:
    """The rank an attempt comes to, and every rank that was told on the way."""
    attempt, told = FRESH, []
    for callback in callbacks:
        reports = tuple(
            Report(number, Receipt(state, client_ref=str(ATTEMPT)), attempt) for number, state in enumerate(callback)
        )
        verdict = decide(EVENT, ReceiptFacts(reports), NOW)
        assert isinstance(verdict, Done)
        for write in verdict.writes:
            assert write.statement == "record"
            attempt = replace(attempt, receipt_rank=write.row[1])
            told += [emit.ordinal for emit in write.emits]
    return attempt.receipt_rank, told


@given(states, st.randoms(use_true_random=False), st.integers(1, 4))
def test_no_order_and_no_repetition_changes_what_is_known_in_the_end(
    told: list[ReceiptState], random: "st.DataObject", size: int
) -> None:
    shuffled = told * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    batched = [shuffled[n : n + size] for n in range(0, len(shuffled), size)]
    highest = max(RECEIPT_RANK[state] for state in told)
    assert after([[state] for state in told])[0] == after(batched)[0] == highest


@given(st.lists(states, max_size=6))
def test_what_is_told_only_rises_so_that_each_event_has_an_id_of_its_own(callbacks: list[list[ReceiptState]]) -> None:
    ranks = after(callbacks)[1]
    assert ranks == sorted(set(ranks))
