"""Folding: the order in which topics are read makes no difference, and neither does reading twice."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.history import History, Told, some_facts
from watchword.replay.fold import Fold, Folded

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
EXPIRES = datetime(2026, 3, 1, 0, 5, tzinfo=UTC)
RESULTS = ("accepted", "rejected", "deferred", "unknown", "skipped_late")
REPORTS = ("submitted", "enroute", "unknown", "expired", "undelivered", "rejected", "delivered")


@st.composite
def lives(draw: st.DrawFn, number: int) -> History:
    """One verification's life: sends with tries, recoveries, receipts and checks, perhaps an ending."""
    identity = UUID(int=(0x019A_0000_0000 + number) << 80 | 0x7 << 76 | 0x2 << 62 | number)
    history = History(some_facts(verification_id=identity, expires_at=EXPIRES), BEGAN).requested()
    for send_no in range(1, draw(st.integers(1, 3)) + 1):
        if send_no > 1:
            history.resent(send_no)
        history.assessed(send_no)
        if send_no == 1 or draw(st.booleans()):
            history.issued(send_no, send_no)
        for try_no in range(1, draw(st.integers(1, 3)) + 1):
            _try(draw, history, send_no, try_no)
    for check_no in range(1, draw(st.integers(0, 3)) + 1):
        history.checked(check_no)
    if draw(st.booleans()):
        history.ended(draw(st.sampled_from(["approved", "expired", "cancelled", "locked", "failed"])), "because")
    return history


def _try(draw: st.DrawFn, history: History, send_no: int, try_no: int) -> None:
    for recovery in range(draw(st.integers(0, 2))):
        history.queued(send_no, try_no, recovery)
    ending = draw(st.sampled_from([*RESULTS, ""]))
    early = draw(st.booleans())
    if early:
        history.reported(send_no, try_no, draw(st.sampled_from(REPORTS)), provider_id=f"m-{try_no}")
    if ending:
        history.made(send_no, try_no, ending)
    for _ in range(draw(st.integers(0, 2))):
        history.reported(send_no, try_no, draw(st.sampled_from(REPORTS)))


@st.composite
def several(draw: st.DrawFn) -> list[Told]:
    return [told for number in range(draw(st.integers(1, 3))) for told in draw(lives(number)).told]


def folded(told: list[Told]) -> list[Folded]:
    fold = Fold()
    for each in told:
        fold.add(each.event, sequence=each.sequence, event_id=each.id, told_at=each.at)
    return list(fold.rows())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_any_repeats_fold_to_the_same_rows(data: st.DataObject) -> None:
    told = data.draw(several())
    again = data.draw(st.lists(st.sampled_from(told), max_size=len(told)))
    shuffled = data.draw(st.permutations([*told, *again]))
    assert folded(shuffled) == folded(told)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_folding_a_part_and_then_the_rest_is_folding_the_whole(data: st.DataObject) -> None:
    told = data.draw(several())
    cut = data.draw(st.integers(0, len(told)))
    assert folded([*told[cut:], *told[:cut]]) == folded(told)


@settings(max_examples=40, deadline=None)
@given(several())
def test_fold_never_invents_a_row_and_names_every_gap(told: list[Told]) -> None:
    kept = told[::2]
    for row in folded(kept):
        mine = {each.sequence for each in kept if each.event.verification_id == row.verification.id}
        assert {*row.missing} == {*range(1, max(mine) + 1)} - mine
