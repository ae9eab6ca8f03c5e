"""Folded rows against live ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.history import History, approved, some_facts
from tests.unit.replay.test_fold import fold_of
from watchword.replay.compare import Comparison, born, compare
from watchword.replay.live import Live
from watchword.replay.rows import AttemptRow


def live_of(*histories: History, **changes: Any) -> Live:
    """The live tables as they would be had everything been written that these tell."""
    told = [row for history in histories for row in fold_of(history.told).rows()]
    now = datetime.now(UTC)
    return replace(
        Live(
            at=now + timedelta(minutes=1),
            kept_since=now - timedelta(days=14),
            verifications={each.verification.id: each.verification for each in told},
            attempts={attempt.id: attempt for each in told for attempt in each.attempts},
        ),
        **changes,
    )


def compared(history: History, **changes: Any) -> Comparison:
    """`history` against a live row that differs from it by `changes`."""
    live = live_of(history)
    [row] = live.verifications.values()
    return compare(fold_of(history.told), replace(live, verifications={row.id: replace(row, **changes)}))


def attempted(history: History, **changes: Any) -> Comparison:
    """`history` against a live attempt that differs from it by `changes`."""
    live = live_of(history)
    [row] = live.attempts.values()
    return compare(fold_of(history.told), replace(live, attempts={row.id: replace(row, **changes)}))


def columns(told: Comparison) -> list[tuple[str, str]]:
    return [(each.row, each.column) for each in told.differences]


def test_tables_that_hold_what_was_told_do_not_differ() -> None:
    one, other = approved(), History().requested().assessed().issued().queued()
    told = compare(fold_of([*one.told, *other.told]), live_of(one, other))
    assert (told.compared, told.differences, told.waiting) == (2, (), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "issued"),
        ("end_reason", "other"),
        ("code_version", 2),
        ("sends_assessed", 2),
        ("sends_issued", 0),
        ("sends_requested", 3),
        ("checks_used", 1),
        ("tenant", "other"),
        ("number_token", "n-2"),
    ],
)
def test_column_that_differs_is_named(name: str, value: object) -> None:
    assert columns(compared(approved(), **{name: value})) == [("verification", name)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "rejected"),
        ("account", "beta"),
        ("price_micros", 1),
        ("recovery", 1),
        ("receipt_state", ""),
        ("possible_duplicate", True),
    ],
)
def test_column_of_an_attempt_that_differs_is_named(name: str, value: object) -> None:
    assert columns(attempted(approved(), **{name: value})) == [("attempt", name)]


def test_event_that_is_told_and_never_was_committed_is_not_looked_at() -> None:
    history = approved()
    assert (
        compare(fold_of(history.told), live_of(History(history.about, history.began, history.told[:5]))).differences
        == ()
    )


def test_event_that_was_never_told_is_a_difference() -> None:
    history = approved()
    told = compare(fold_of(each for each in history.told if each.sequence != 9), live_of(history))
    assert [(each.column, each.folded) for each in told.differences if each.column == "seq"] == [("seq", "without 9")]


def test_event_that_waits_in_the_outbox_is_told_as_waiting() -> None:
    history = approved()
    key = str(history.about.verification_id)
    told = compare(fold_of(history.told[:-1]), live_of(history, waiting=frozenset({key})))
    assert (told.compared, told.differences, told.waiting) == (0, (), (key,))


def test_verification_that_no_topic_tells_of_is_a_difference() -> None:
    told = compare(fold_of([]), live_of(approved()))
    assert [(each.column, each.folded, each.live) for each in told.differences] == [("*", "absent", "approved")]


def test_verification_that_is_older_than_its_topics_is_told_as_beyond() -> None:
    history = approved()
    horizon = born(history.about.verification_id) + timedelta(hours=1)
    told = compare(fold_of(history.told[4:]), live_of(history), horizon=horizon)
    assert (told.differences, told.beyond) == ((), 1)


def test_verification_that_the_tables_lack_is_a_difference_once_it_must_be_there() -> None:
    history, live = approved(), live_of()
    assert columns(compare(fold_of(history.told), live)) == [("verification", "*")]
    began = born(history.about.verification_id)
    assert compare(fold_of(history.told), replace(live, at=began + timedelta(seconds=5))).differences == ()
    assert compare(fold_of(history.told), replace(live, kept_since=began + timedelta(days=1))).differences == ()


def test_check_that_was_counted_by_a_process_that_died_is_no_difference() -> None:
    told = compared(approved(), checks_used=3)
    assert (told.differences, told.untold_checks) == ((), 1)


def test_claim_is_told_by_nobody() -> None:
    history = History().requested().assessed().issued().queued()
    assert attempted(history, state="sending", account="alpha").differences == ()
    assert columns(attempted(history, state="accepted")) == [("attempt", "state")]


def test_attempt_that_took_over_at_once_may_be_untold_while_it_is_claimed() -> None:
    history = approved()
    live = live_of(history)
    following = AttemptRow(history.attempt(1, 2), history.about.verification_id, 1, 2, "sending")
    assert compare(fold_of(history.told), _with(live, following)).differences == ()
    assert columns(compare(fold_of(history.told), _with(live, replace(following, state="accepted")))) == [
        ("attempt", "*")
    ]


def test_attempt_that_the_tables_lack_is_a_difference() -> None:
    history = approved()
    assert columns(compare(fold_of(history.told), replace(live_of(history), attempts={}))) == [("attempt", "*")]


def test_step_that_the_table_does_not_allow_is_a_difference() -> None:
    history = History(some_facts()).requested().ended("approved")
    assert columns(compare(fold_of(history.told), live_of(history))) == [("verification", "state")]


def _with(live: Live, attempt: AttemptRow) -> Live:
    return replace(live, attempts={**live.attempts, attempt.id: attempt})
