"""The state rebuilt from events."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.history import History, Told, approved, some_facts
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.verification_assessed import Action
from watchword.kernel.verification import LIVE, TRANSITIONS, State
from watchword.replay.fold import Fold, Folded


def fold_of(told: Iterable[Told], **changes: Any) -> Fold:
    fold = Fold(**changes)
    for each in told:
        fold.add(each.event, sequence=each.sequence, event_id=each.id, told_at=each.at)
    return fold


def rows(history: History) -> Folded:
    [told] = fold_of(history.told).rows()
    return told


def test_usual_life_ends_approved_with_everything_counted() -> None:
    history = approved()
    told = rows(history)
    row = told.verification
    assert (row.state, row.end_reason, row.seq, row.checks_used) == ("approved", "right_code", 9, 2)
    assert (row.sends_requested, row.sends_assessed, row.sends_issued, row.code_version) == (1, 1, 1, 1)
    assert (row.tenant, row.range, row.expires_at) == ("shop", "+91987654", history.about.expires_at)
    assert row.requested_at == history.told[0].at
    assert row.ended_at == history.told[-1].at
    [attempt] = told.attempts
    assert (attempt.state, attempt.receipt_state, attempt.price_micros) == ("accepted", "delivered", 7_500)
    assert (told.missing, told.illegal, told.approvals) == ((), (), 1)


def test_failover_leaves_two_attempts_of_one_send() -> None:
    history = History().requested().assessed().issued().queued()
    history.made(result="deferred", account="alpha", outcome="temporary").made(try_no=2, account="beta")
    told = rows(history)
    assert [(each.try_no, each.state, each.account) for each in told.attempts] == [
        (1, "deferred", "alpha"),
        (2, "accepted", "beta"),
    ]
    assert told.illegal == ()


def test_rotated_code_of_a_resend_is_the_live_one() -> None:
    history = History().requested().assessed().issued().queued().made()
    history.resent(2).assessed(2).issued(2, 2).queued(2).made(2)
    row = rows(history).verification
    assert (row.sends_requested, row.sends_assessed, row.sends_issued, row.code_version) == (2, 2, 2, 2)


def test_resend_of_the_same_code_counts_as_sent_without_a_new_code() -> None:
    history = History().requested().assessed().issued().queued().made().resent(2).assessed(2).queued(2)
    row = rows(history).verification
    assert (row.sends_issued, row.code_version) == (2, 1)


def test_claim_that_was_lost_is_queued_again_one_recovery_further() -> None:
    told = rows(History().requested().assessed().issued().queued().queued(recovery=1).made())
    assert (told.attempts[0].recovery, told.attempts[0].state, told.illegal) == (1, "accepted", ())


@pytest.mark.parametrize(
    ("order", "state", "provider_id"),
    [("receipt_first", "unknown", "m-1"), ("receipt_last", "accepted", "m-1")],
)
def test_receipt_for_an_unknown_end_tells_that_it_left(order: str, state: str, provider_id: str) -> None:
    history = History().requested().assessed().issued().queued()
    if order == "receipt_first":
        history.reported(provider_id="m-1").made(result="unknown")
    else:
        history.made(result="unknown").reported(provider_id="m-1")
    [attempt] = rows(history).attempts
    assert (attempt.state, attempt.receipt_state, attempt.provider_id) == (state, "delivered", provider_id)


def test_receipts_only_raise() -> None:
    history = History().requested().assessed().issued().queued().made()
    history.reported(state="delivered").reported(state="enroute")
    assert rows(history).attempts[0].receipt_state == "delivered"


@pytest.mark.parametrize("state", sorted(set(State) - LIVE))
def test_every_ending_is_taken_from_where_the_table_allows_it(state: State) -> None:
    for source in LIVE:
        history = History().requested().assessed()
        if source is State.ISSUED:
            history.issued()
        history.ended(state.value, "because")
        told = rows(history)
        assert (told.verification.state, told.verification.end_reason) == (state, "because")
        assert bool(told.illegal) == (state not in TRANSITIONS[source].values()), source


def test_second_ending_is_told_as_not_allowed() -> None:
    history = approved().ended("expired", "time_over")
    assert rows(history).illegal == ("expire from approved",)


@pytest.mark.parametrize("result", ["accepted", "rejected"])
def test_attempt_that_ends_twice_is_told_as_not_allowed(result: str) -> None:
    history = History().requested().assessed().issued().queued().made(result="rejected").made(result=result)
    [told] = rows(history).illegal
    assert told.endswith(f"{result} from rejected")


def test_gap_is_named_and_nothing_else_is_held_against_what_follows_it() -> None:
    history = approved()
    [told] = fold_of(each for each in history.told if each.sequence not in (2, 3)).rows()
    assert (told.missing, told.illegal) == ((2, 3), ())
    assert told.verification.state == "approved"


def test_as_of_leaves_out_what_was_told_later() -> None:
    history = approved()
    [told] = fold_of(history.told, as_of=history.told[3].at).rows()
    assert (told.verification.state, told.verification.seq) == ("issued", 4)
    assert not list(fold_of(history.told, as_of=history.began - timedelta(seconds=1)).rows())


def test_only_the_tenant_that_was_asked_for_is_folded() -> None:
    mine, theirs = approved(), History(some_facts(tenant="other")).requested()
    told = list(fold_of([*mine.told, *theirs.told], tenant="shop").rows())
    assert [each.verification.id for each in told] == [mine.about.verification_id]


def test_fold_up_to_a_number_looks_at_nothing_beyond() -> None:
    history = approved()
    fold = fold_of(history.told)
    [told] = fold.rows({history.about.verification_id: 5})
    assert (told.verification.state, told.verification.seq, told.missing) == ("issued", 5, ())
    assert told.attempts[0].receipt_state == ""


def test_uncounted_events_and_those_of_no_verification_change_nothing() -> None:
    fold = Fold()
    [first, *_] = approved().told
    fold.add(first.event, sequence=0, event_id=first.id, told_at=first.at)
    stranger = ReceiptReceived(receipt_id="r", account="a", gateway="echo", received_at=first.at, sealed="x")
    fold.add(stranger, sequence=3, event_id="e", told_at=first.at)
    assert fold.lives == {}


def test_two_ids_for_one_number_or_one_fact_are_a_conflict() -> None:
    history = approved()
    fold = fold_of(history.told)
    life = fold.lives[history.about.verification_id]
    assert life.conflicts() == []
    last = history.told[-1]
    fold.add(last.event, sequence=last.sequence, event_id="another", told_at=last.at)
    assert life.conflicts() == ["seq 9 has 2 event ids", "ended was told twice"]


def test_one_id_under_two_numbers_is_a_conflict() -> None:
    history = approved()
    fold = fold_of(history.told)
    check = history.told[5]
    fold.add(check.event, sequence=10, event_id=check.id, told_at=check.at)
    assert fold.lives[history.about.verification_id].conflicts() == ["checked was told twice"]


def test_a_silent_refusal_is_issued_and_nothing_is_sent_until_a_send_passes() -> None:
    history = History().requested().assessed(action=Action.BLOCK).issued(silent=True)
    row = rows(history).verification
    assert (row.state, row.sends_assessed, row.sends_issued, row.code_version) == ("issued", 1, 0, 1)
    told = rows(history.resent(2).assessed(2).issued(2, 2).queued(2))
    assert (told.verification.sends_issued, told.verification.code_version, told.illegal) == (2, 2, ())
