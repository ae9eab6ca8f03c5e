"""The transition table is the law; these are its articles."""

import itertools

import pytest

from watchword.kernel.verification import (
    ATTEMPT_TRANSITIONS,
    ENDED,
    LIVE,
    RECEIPT_RANK,
    STATUS,
    TRANSITIONS,
    AttemptState,
    ReceiptState,
    State,
    Step,
    after,
    merge,
    sources,
)


def test_every_state_has_a_line_and_a_public_word() -> None:
    assert set(TRANSITIONS) == set(State) == set(STATUS)
    assert set(ATTEMPT_TRANSITIONS) == set(AttemptState)
    assert set(RECEIPT_RANK) == set(ReceiptState)


def test_an_ended_verification_stays_as_it_ended() -> None:
    assert {State.APPROVED, State.EXPIRED, State.CANCELLED, State.LOCKED, State.BLOCKED, State.FAILED} == ENDED
    assert all(after(state, step) is None for state in ENDED for step in Step)


def test_only_an_issued_code_can_approve() -> None:
    assert sources(Step.APPROVE) == {State.ISSUED}
    assert sources(Step.LOCK) == {State.ISSUED}


def test_a_code_that_is_out_cannot_be_blocked_any_more() -> None:
    assert sources(Step.BLOCK) == {State.REQUESTED}


def test_whatever_is_live_can_expire_and_be_cancelled() -> None:
    assert sources(Step.EXPIRE) == sources(Step.CANCEL) == LIVE


def test_every_step_leads_somewhere_from_somewhere() -> None:
    assert all(sources(step) for step in Step)


def test_an_attempt_that_may_have_left_is_never_queued_again_but_by_its_lease() -> None:
    back = {state for state, reached in ATTEMPT_TRANSITIONS.items() if AttemptState.QUEUED in reached}
    assert back == {AttemptState.SENDING}


@pytest.mark.parametrize("told", list(itertools.permutations(ReceiptState, 3)), ids=str)
def test_receipts_end_at_the_highest_rank_in_whatever_order_they_come(told: tuple[ReceiptState, ...]) -> None:
    known: ReceiptState | None = None
    for state in told + told:
        known = merge(known, state)
    assert known is not None
    assert RECEIPT_RANK[known] == max(RECEIPT_RANK[state] for state in told)


def test_delivered_overrides_everything_and_nothing_overrides_delivered() -> None:
    for state in ReceiptState:
        assert merge(state, ReceiptState.DELIVERED) is ReceiptState.DELIVERED
        assert merge(ReceiptState.DELIVERED, state) is ReceiptState.DELIVERED
