"""The judge of a chaos run is judged: every way to break a promise is seen, and an honest run is not blamed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.truth import Attempt, Ledger, Row, Seen, Sms, judge
from tests.chaos.users import Kind, User

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
USER = User("+917100000000", "order-0", Kind.RIGHT, "dedupes", id="v", checks=["approved"], right_typed=True)
ROW = Row("v", "approved", "right_code", 1)
ATTEMPT = Attempt("a", "v", 1, "alpha", "accepted", NOW + timedelta(seconds=240), possible_duplicate=False)
SMS = Sms("a", NOW)


def told(*, user: User = USER, row: Row | None = ROW, attempts: Any = (ATTEMPT,), sms: Any = (SMS,)) -> Ledger:
    return judge(Seen([user], [row] if row else [], attempts, sms))


def words(ledger: Ledger) -> list[str]:
    return [what for what, _ in ledger.broken]


def test_an_honest_run_is_not_blamed() -> None:
    ledger = told()
    assert ledger.broken == []
    assert (ledger.accepted, ledger.sent, ledger.approved, ledger.lost, ledger.late) == (1, 1, 1, 0, 0)
    assert ledger.sent_by_class == {"dedupes": 1}


def test_who_was_accepted_and_is_not_known_is_lost() -> None:
    assert "lost: accepted, and nobody knows it" in words(told(row=None, attempts=(), sms=()))


def test_who_waits_for_a_message_that_never_came_is_lost() -> None:
    waiting = replace(USER, checks=[], right_typed=False)
    ledger = told(user=waiting, row=replace(ROW, state="issued"), attempts=(replace(ATTEMPT, state="queued"),), sms=())
    assert ledger.lost == 1
    ledger = told(
        user=waiting, row=replace(ROW, state="failed"), attempts=(replace(ATTEMPT, state="rejected"),), sms=()
    )
    assert ledger.broken == [], "an end was told that says why"
    in_doubt = (replace(ATTEMPT, account="form", state="unknown"),)
    assert told(user=waiting, row=replace(ROW, state="issued"), attempts=in_doubt, sms=()).broken == []


def test_a_message_that_is_told_as_taken_and_on_no_phone_is_lost() -> None:
    resent = replace(ATTEMPT, id="b", send_no=2)
    assert told(attempts=(ATTEMPT, resent)).lost == 1


@pytest.mark.parametrize(("account", "marked", "kept"), [("alpha", True, False), ("form", True, True)])
def test_a_second_message_is_allowed_to_a_blind_gateway_that_tells_of_it(
    account: str, marked: bool, kept: bool
) -> None:
    attempts = (replace(ATTEMPT, account=account), replace(ATTEMPT, id="b", account=account, possible_duplicate=marked))
    ledger = told(attempts=attempts, sms=(SMS, Sms("b", NOW)))
    assert ledger.duplicates.total() == 1
    assert (ledger.broken == []) is kept


def test_a_gateway_that_could_tell_is_excused_only_where_it_was_silent() -> None:
    second = replace(ATTEMPT, id="b", account="beta", possible_duplicate=True)
    silent = (replace(ATTEMPT, state="unknown"), second)
    assert told(attempts=silent, sms=(SMS, Sms("b", NOW))).broken == []
    assert told(attempts=(ATTEMPT, second), sms=(SMS, Sms("b", NOW))).broken
    assert told(attempts=(*silent[:1], replace(second, possible_duplicate=False)), sms=(SMS, Sms("b", NOW))).broken


def test_a_second_message_of_a_blind_gateway_that_nobody_told_of_is_one_too_many() -> None:
    assert told(attempts=(replace(ATTEMPT, account="form"),), sms=(SMS, SMS)).broken


def test_a_message_after_its_deadline_is_late() -> None:
    assert told(sms=(Sms("a", NOW + timedelta(seconds=244)),)).broken == [], "it was called in time"
    ledger = told(sms=(Sms("a", NOW + timedelta(seconds=246)),))
    assert ledger.late == 1 and words(ledger) == ["late: an SMS after its deadline"]


@pytest.mark.parametrize(
    ("changes", "state", "word"),
    [
        ({"checks": ["approved", "approved"]}, "approved", "two checks were told as right"),
        ({}, "issued", "told as approved, and it is issued"),
        ({"right_typed": False}, "approved", "a wrong code was told as right"),
        ({"checks": ["wrong"]}, "issued", "the right code was told as wrong"),
        ({"checks": ["used"]}, "approved", "the right code was told as used, and nobody had used it"),
        ({"checks": [], "right_typed": False, "cancelled": True}, "issued", "told as cancelled, and it is issued"),
        ({"checks": [], "right_typed": False}, "approved", "approved without a user who typed the code"),
    ],
)
def test_what_a_user_was_told_and_what_is(changes: dict[str, Any], state: str, word: str) -> None:
    assert word in words(told(user=replace(USER, **changes), row=replace(ROW, state=state)))


def test_an_answer_that_was_lost_may_be_told_as_used() -> None:
    assert told(user=replace(USER, checks=["used"], unanswered=1)).broken == []
