"""Each promise, kept and broken on purpose."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.history import History, approved, some_facts
from tests.unit.replay.test_compare import live_of
from tests.unit.replay.test_fold import fold_of
from watchword.audit.checks import CHECKS, audit
from watchword.audit.facts import (
    Bounds,
    Codes,
    Facts,
    OpenAttempt,
    OutboxEvent,
    Parked,
    Position,
    Submitted,
    Untouched,
)
from watchword.replay.compare import born
from watchword.replay.rows import AttemptRow, VerificationRow

LIFE = approved()
IDENTITY = LIFE.about.verification_id
ATTEMPT = LIFE.attempt()
GRACE = timedelta(seconds=30)
LOOKED_AT = datetime.now(UTC)  # the life and the look at it are made together, however long the run takes


def kept(*histories: History, **changes: Any) -> Facts:
    """A system in which these happened and every promise is kept, but for `changes`."""
    histories = histories or (LIFE,)
    live = live_of(*histories, at=LOOKED_AT)
    facts = Facts(
        carrier={},
        live=live,
        fold=fold_of(told for history in histories for told in history.told),
        bounds={identity: Bounds(5, 5) for identity in live.verifications},
        codes={each.id: Codes(each.code_version, each.code_version) for each in live.verifications.values()},
    )
    return replace(facts, **changes)


def with_row(facts: Facts, **changes: Any) -> Facts:
    """The same with every live verification changed."""
    rows: dict[UUID, VerificationRow] = {
        identity: replace(row, **changes) for identity, row in facts.live.verifications.items()
    }
    return replace(facts, live=replace(facts.live, verifications=rows))


def with_attempt(facts: Facts, **changes: Any) -> Facts:
    """The same with every live attempt changed."""
    rows: dict[UUID, AttemptRow] = {identity: replace(row, **changes) for identity, row in facts.live.attempts.items()}
    return replace(facts, live=replace(facts.live, attempts=rows))


def waiting_for_ever(**changes: Any) -> Facts:
    """A verification that is still issued."""
    return with_row(kept(History().requested().assessed().issued()), **changes)


def at(facts: Facts, seconds: float) -> datetime:
    """A moment relative to the snapshot's."""
    return facts.live.at + timedelta(seconds=seconds)


def broken(facts: Facts, only: str) -> list[str]:
    """The ids that one check names."""
    [finding] = audit(facts, [only])
    return [breach.id for breach in finding.breaches]


def test_system_that_keeps_every_promise_is_clean() -> None:
    findings = audit(kept(LIFE, approved(), History().requested().assessed().issued().queued()))
    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding.breaches for finding in findings] == [()] * len(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_system_in_which_nothing_happened_is_clean(check: str) -> None:
    facts = kept()
    empty = replace(facts, live=replace(facts.live, verifications={}, attempts={}), fold=fold_of([]))
    assert broken(empty, check) == []


# A1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late_s", "is_broken"), [(10, False), (31, True)])
def test_a1_verification_that_outlives_its_life(late_s: float, is_broken: bool) -> None:
    facts = waiting_for_ever()
    facts = with_row(facts, expires_at=at(facts, -late_s))
    assert bool(broken(facts, "A1")) == is_broken


def submitted(facts: Facts) -> Submitted:
    return Submitted("otp.inbox.v1/0/3", "r-1", at(facts, -60))


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, True),
        ({"answered": frozenset({"r-1"})}, False),
        ({"answered": frozenset({"otp.inbox.v1/0/3"})}, False),
        ({"answered": frozenset({"r-2"})}, True),
    ],
)
def test_a1_request_taken_from_the_inbox_that_led_to_nothing(changes: dict[str, Any], is_broken: bool) -> None:
    facts = kept()
    told = broken(replace(facts, submitted=(submitted(facts),), **changes), "A1")
    assert told == (["otp.inbox.v1/0/3"] if is_broken else [])


def test_a1_request_taken_just_now_may_still_be_answered() -> None:
    facts = kept()
    recent = replace(submitted(facts), at=at(facts, -5))
    assert broken(replace(facts, submitted=(recent,)), "A1") == []


# A2 --------------------------------------------------------------------------------------------------------------


def open_attempt(facts: Facts, **changes: Any) -> OpenAttempt:
    return replace(OpenAttempt(ATTEMPT, IDENTITY, "sending", at(facts, 10), at(facts, 60)), **changes)


def test_a2_attempt_that_is_open_after_its_verifications_life() -> None:
    facts = kept()
    facts = replace(facts, open_attempts=(open_attempt(facts),))
    assert broken(facts, "A2") == []
    assert broken(with_row(facts, expires_at=at(facts, -31)), "A2") == [str(ATTEMPT)]


@pytest.mark.parametrize(
    ("count", "changes", "is_broken"),
    [
        (1, {}, False),
        (2, {}, True),
        (2, {"possible_duplicate": True}, False),
        (3, {"possible_duplicate": True}, True),
        (1, {"state": "sending"}, False),
        (1, {"state": "unknown"}, False),
        (1, {"state": "rejected"}, True),
        (0, {"state": "rejected"}, False),
    ],
)
def test_a2_phone_that_got_more_than_the_tables_tell(count: int, changes: dict[str, Any], is_broken: bool) -> None:
    facts = with_attempt(kept(carrier={str(ATTEMPT): count}), **changes)
    assert bool(broken(facts, "A2")) == is_broken


# A3 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codes",
    [{}, {IDENTITY: Codes(2, 2)}, {IDENTITY: Codes(2, 1)}, {IDENTITY: Codes(1, 2)}],
    ids=["none", "a newer one", "two of one number", "not the first"],
)
def test_a3_code_that_is_not_the_one(codes: dict[UUID, Codes]) -> None:
    assert broken(kept(codes=codes), "A3") == [str(IDENTITY)]


def test_a3_checks_beyond_their_limit() -> None:
    assert broken(with_row(kept(), checks_used=6), "A3") == [str(IDENTITY)]


@pytest.mark.parametrize("state", ["expired", "locked"])
def test_a3_right_check_that_approved_nothing(state: str) -> None:
    assert broken(with_row(kept(), state=state), "A3") == [str(IDENTITY)]


def test_a3_two_right_checks_for_one_approval() -> None:
    history = History().requested().assessed().issued().checked(1, "approved").checked(2, "approved").ended()
    assert broken(kept(history), "A3") == [str(history.about.verification_id)]


def test_a3_approval_without_a_right_check() -> None:
    history = History().requested().assessed().issued().checked(1).ended()
    assert broken(kept(history), "A3") == [str(history.about.verification_id)]


def test_a3_issued_without_a_code() -> None:
    assert broken(waiting_for_ever(code_version=0), "A3") != []


# A4 --------------------------------------------------------------------------------------------------------------


def test_a4_transition_told_under_two_ids() -> None:
    facts = kept()
    last = LIFE.told[-1]
    facts.fold.add(last.event, sequence=last.sequence, event_id=str(uuid4()), told_at=last.at)
    assert broken(facts, "A4") == [str(IDENTITY)] * 2


# A5 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("committed", "first", "end", "is_broken"),
    [(5, 0, 10, False), (10, 0, 10, False), (11, 0, 10, True), (3, 4, 10, True), (4, 4, 4, False)],
)
def test_a5_offset_beyond_the_end_or_behind_what_is_kept(committed: int, first: int, end: int, is_broken: bool) -> None:
    facts = kept(positions=(Position("codes", "otp.assessments.v1", 2, committed, first, end),))
    assert broken(facts, "A5") == (["otp.assessments.v1/2"] if is_broken else [])


def test_a5_record_that_was_passed_over() -> None:
    facts = kept(passed_over=(("otp.requests.v1/0/7", "its send was never assessed"),))
    assert broken(facts, "A5") == ["otp.requests.v1/0/7"]


# A6, A7 ----------------------------------------------------------------------------------------------------------


def without(numbers: Iterable[int]) -> Facts:
    left = [told for told in LIFE.told if told.sequence not in numbers]
    return kept(fold=fold_of(left))


@pytest.mark.parametrize("numbers", [{4}, {9}, set(range(1, 10))])
def test_a6_event_that_is_on_no_topic(numbers: set[int]) -> None:
    facts = without(numbers)
    assert broken(facts, "A6") == [str(IDENTITY)]
    waits = replace(facts, live=replace(facts.live, waiting=frozenset({str(IDENTITY)})))
    assert broken(waits, "A6") == []
    aged = replace(facts, horizon=born(IDENTITY) + timedelta(hours=1))
    assert broken(aged, "A6") == []


def test_a6_event_that_the_row_does_not_count() -> None:
    facts = with_row(kept(), seq=8)
    assert broken(facts, "A6") == []
    later = replace(facts, live=replace(facts.live, at=facts.live.at + timedelta(minutes=1)))
    assert broken(later, "A6") == [str(IDENTITY)]


def test_a7_table_that_differs_from_what_was_told() -> None:
    assert broken(with_row(kept(), end_reason="other"), "A7") == [str(IDENTITY)]
    assert broken(with_attempt(kept(), state="rejected"), "A7") == [str(ATTEMPT)]


def test_a7_gap_alone_is_left_to_a6() -> None:
    assert broken(without({6}), "A7") == []


def test_a7_says_how_much_was_compared() -> None:
    [finding] = audit(with_row(kept(), checks_used=3), ["A7"])
    assert finding.notes == ("1 verifications compared", "1 checks counted and not told")


# A8 --------------------------------------------------------------------------------------------------------------


def test_a8_what_was_seen_is_told_with_its_place() -> None:
    facts = kept(sightings=(("otp.results.v1/0/1", "value holds what looks like a phone number"),))
    assert broken(facts, "A8") == ["otp.results.v1/0/1"]


# A9 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "at_rest", "is_broken"), [(5, False, False), (31, False, True), (5, True, True)])
def test_a9_event_that_stays_in_the_outbox(age_s: float, at_rest: bool, is_broken: bool) -> None:
    facts = kept(at_rest=at_rest)
    event = OutboxEvent(UUID(int=1), "otp.lifecycle.v1", "k", at(facts, -age_s))
    assert bool(broken(replace(facts, outbox=(event,)), "A9")) == is_broken


@pytest.mark.parametrize(
    ("changes", "at_rest", "is_broken"),
    [
        ({"lease_s": 10}, False, False),
        ({"lease_s": -5}, False, False),
        ({"lease_s": -31}, False, True),
        ({"lease_s": 10}, True, True),
        ({"lease_s": -31, "state": "queued"}, False, False),
    ],
)
def test_a9_claim_past_its_lease(changes: dict[str, Any], at_rest: bool, is_broken: bool) -> None:
    facts = kept(at_rest=at_rest)
    claim = open_attempt(facts, state=changes.get("state", "sending"), lease_until=at(facts, changes["lease_s"]))
    assert bool(broken(replace(facts, open_attempts=(claim,)), "A9")) == is_broken


def test_a9_receipt_that_is_parked_for_too_long() -> None:
    facts = kept()
    parked = (Parked("r/0", at(facts, -31)), Parked("s/0", at(facts, 5)))
    assert broken(replace(facts, parked=parked), "A9") == ["r/0"]


@pytest.mark.parametrize(
    ("waits_s", "at_rest", "is_broken"),
    [(None, True, False), (5, False, False), (31, False, True), (5, True, True)],
)
def test_a9_group_that_falls_behind(waits_s: float | None, at_rest: bool, is_broken: bool) -> None:
    facts = kept(at_rest=at_rest)
    since = None if waits_s is None else at(facts, -waits_s)
    position = Position("codes", "otp.assessments.v1", 0, 4, 0, 10, since)
    told = replace(facts, positions=(position,))
    assert bool(broken(told, "A9")) == is_broken
    assert audit(told, ["A9"])[0].notes == ("group codes is 6 records behind",)


# A10, A11 --------------------------------------------------------------------------------------------------------


def test_a6_says_how_many_are_older_than_the_topics() -> None:
    facts = kept(horizon=born(IDENTITY) + timedelta(hours=1))
    assert audit(facts, ["A6"])[0].notes == ("1 are older than the topics",)


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, False),
        ({"intact": True}, False),
        ({"intact": False}, True),
        ({"reason": ""}, True),
        ({"good": "can be read, and could be then"}, True),
        ({"good": "can be read, and could be then", "handled": True}, False),
    ],
)
def test_a10_letter_that_is_not_what_was_poison(changes: dict[str, Any], is_broken: bool) -> None:
    facts = kept()
    letter = replace(Untouched("otp.dispatch.v1.dead/0/1", "unreadable", facts.live.at), **changes)
    assert broken(replace(facts, letters=(letter,)), "A10") == ([letter.place] if is_broken else [])


def test_a10_lists_what_nobody_has_dealt_with_by_reason() -> None:
    facts = kept()
    letter = Untouched("otp.dispatch.v1.dead/0/1", "unreadable", facts.live.at)
    letters = (letter, replace(letter, readable=True), replace(letter, reason="bug"), replace(letter, handled=True))
    [finding] = audit(replace(facts, letters=letters), ["A10"])
    assert finding.notes == (
        "otp.dispatch.v1.dead: 1 for bug",
        "otp.dispatch.v1.dead: 2 for unreadable, 1 of them could be read now",
    )


def test_a11_price_that_differs_from_what_was_told() -> None:
    assert broken(with_attempt(kept(), price_micros=7_501), "A11") == ["alpha"]


def test_a11_sends_beyond_what_the_policy_allows() -> None:
    assert broken(kept(bounds={IDENTITY: Bounds(5, 0)}), "A11") == [str(IDENTITY)]


def test_a11_sms_that_only_the_carrier_knows() -> None:
    stranger = str(History(some_facts()).attempt())
    assert broken(kept(carrier={stranger: 1, str(ATTEMPT): 1}), "A11") == [stranger]
