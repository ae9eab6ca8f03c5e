"""Whether a message of which nothing was heard gets another one beside it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from tests.support.sends import ABOUT, EAST, NORTH, NOW, SOUTH, attempt, called, routing, tried
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Attempt, Called, Choice, Nobody, Reason, Routing
from watchword.dispatch.decide.hedge import HEDGES_KEPT_MAX, SENDS_A_HEDGE, Allowance, Silent, hedge, hedge_at
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY, NOBODY_ELSE, beside
from watchword.events import topics
from watchword.events.attempt_made import AttemptMade, PassedOver, PassedWord
from watchword.events.send_requested import SendRequested
from watchword.gateways.outcome import OutcomeClass as Kind
from watchword.kernel.ids import attempt_id
from watchword.kernel.verification import AttemptState

BOTH = structs.replace(routing(NORTH, SOUTH), hedge_after_s=15)
ACCEPTED = tried("north", AttemptState.ACCEPTED)
SILENT = Silent(
    about=ABOUT,
    attempt_id=attempt_id(ABOUT.verification_id, 1, 1),
    send_no=1,
    code_version=1,
    send_deadline=NOW + timedelta(seconds=240),
    live=True,
    receipt="",
    tries=(ACCEPTED,),
    template="payment",
)
BESIDE = attempt(try_no=2, account=SOUTH, reason="hedge", hedges=True, tries=(ACCEPTED,))


def allowance(sends: int = SENDS_A_HEDGE) -> Allowance:
    made = Allowance()
    assert made.take(), "there is one to begin with"
    for _ in range(sends):
        made.earn()
    return made


def hedged(silent: Silent, route: Routing = BOTH) -> bool:
    return bool(hedge(silent, route, NOW, allowance()).writes)


@pytest.mark.parametrize(
    ("case", "route", "wanted_s"),
    [
        (attempt(), BOTH, 15),
        (
            attempt(tries=(tried("south"),), try_no=2),
            structs.replace(routing(NORTH, SOUTH, EAST), hedge_after_s=20),
            20,
        ),
        (attempt(), routing(NORTH, SOUTH), None),
        (attempt(), structs.replace(routing(NORTH), hedge_after_s=15), None),
        (attempt(), structs.replace(BOTH, barred={"south": PassedWord.PRICE}), None),
        (attempt(tries=(tried("south"),), try_no=2), BOTH, None),
        (attempt(send_no=2), BOTH, None),
        (attempt(tries=(tried("south", AttemptState.UNKNOWN),), try_no=2), BOTH, None),
        (attempt(send_deadline=NOW + timedelta(seconds=15)), BOTH, None),
        (attempt(about=structs.replace(ABOUT, expires_at=NOW + timedelta(seconds=74))), BOTH, None),
        (BESIDE, BOTH, None),
    ],
)
def test_an_accepted_message_is_looked_at_again(case: Attempt, route: Routing, wanted_s: int | None) -> None:
    found = hedge_at(case, route, NOW)
    assert found == (NOW + timedelta(seconds=wanted_s) if wanted_s else None)


def test_only_what_was_accepted_is_looked_at_again() -> None:
    for kind in Kind:
        conclusion = conclude(attempt(), called(kind), BOTH, NOW)
        assert (conclusion.hedge_at is not None) == (kind is Kind.ACCEPTED)
        assert conclusion.done.writes[0].row[-1] == conclusion.hedge_at


def test_where_nothing_was_heard_the_same_code_is_asked_for_by_another_account() -> None:
    [write] = hedge(SILENT, BOTH, NOW, allowance()).writes
    [emit] = write.emits
    event = emit.event
    assert isinstance(event, SendRequested)
    assert (write.statement, write.row[0]) == ("queue_hedge", SILENT.attempt_id)
    assert (event.attempt_id, event.try_no, event.code_version) == (attempt_id(ABOUT.verification_id, 1, 2), 2, 1)
    assert (event.tried, event.left, event.send_deadline) == (("north",), 1, SILENT.send_deadline)
    assert event.template == "payment"
    assert emit.topic in ("", topics.DISPATCH)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, True),
        ({"receipt": "enroute"}, True),
        ({"receipt": "undelivered"}, True),
        ({"receipt": "delivered"}, False),
        ({"receipt": "delivered_implied"}, False),
        ({"receipt": "rejected"}, False),
        ({"live": False}, False),
        ({"send_deadline": NOW}, False),
        ({"tries": (ACCEPTED, tried("south", AttemptState.SENDING, no=2))}, False),
        ({"tries": (tried("south", AttemptState.UNKNOWN), tried("north", AttemptState.ACCEPTED, no=2))}, False),
    ],
)
def test_a_message_is_left_alone_unless_it_is_of_use(change: dict[str, Any], wanted: bool) -> None:
    assert hedged(replace(SILENT, **change)) is wanted


@pytest.mark.parametrize("away", [[SOUTH], [NORTH, SOUTH]])
def test_with_the_other_account_away_nothing_is_sent_by_the_same(away: Sequence[Any]) -> None:
    assert not hedged(SILENT, structs.replace(routing(NORTH, SOUTH, away=away), hedge_after_s=15))


def test_a_route_that_asks_for_it_no_more_gets_none() -> None:
    assert not hedged(SILENT, routing(NORTH, SOUTH))


def test_one_message_in_twenty_gets_one_and_no_flood_is_saved_up() -> None:
    few = allowance(SENDS_A_HEDGE - 1)
    assert not few.take()
    few.earn()
    assert few.take() and not few.take()
    many = allowance(SENDS_A_HEDGE * HEDGES_KEPT_MAX * 5)
    assert sum(many.take() for _ in range(HEDGES_KEPT_MAX * 5)) == HEDGES_KEPT_MAX


def test_without_an_allowance_nothing_is_sent() -> None:
    assert hedge(SILENT, BOTH, NOW, allowance(0)).writes == ()


def test_beside_an_account_stands_another_one_or_nobody() -> None:
    found = beside(1, (ACCEPTED,), routing(NORTH, SOUTH, EAST))
    assert isinstance(found, Choice)
    assert (found.account, found.reason) == (SOUTH, Reason.HEDGE)
    assert found.grounds.passed_over == (PassedOver(account="north", reason=PassedWord.USED),)
    assert beside(1, (ACCEPTED,), routing(NORTH)) == NOBODY_ELSE
    assert beside(1, (ACCEPTED,), routing(NORTH, SOUTH, away=[SOUTH])) == ACCOUNTS_AWAY


def test_a_hedge_that_is_taken_is_told_as_one_and_as_a_possible_duplicate() -> None:
    conclusion = conclude(BESIDE, called(Kind.ACCEPTED), BOTH, NOW)
    told = conclusion.done.writes[0].emits[0].event
    assert isinstance(told, AttemptMade)
    assert (told.route_reason, told.account, told.result, told.possible_duplicate) == (
        "hedge",
        "south",
        "accepted",
        True,
    )
    assert conclusion.possible_duplicate


@pytest.mark.parametrize(
    "came", [called(Kind.TEMPORARY), called(Kind.THROTTLED), called(Kind.ACCOUNT), NOBODY_ELSE, ACCOUNTS_AWAY]
)
def test_a_hedge_that_is_not_taken_is_not_tried_again(came: Called | Nobody) -> None:
    conclusion = conclude(BESIDE, came, structs.replace(routing(NORTH, SOUTH, EAST), hedge_after_s=15), NOW)
    assert (conclusion.state, conclusion.follow) == (AttemptState.REJECTED, None)
    assert [write.statement for write in conclusion.done.writes] == ["conclude"]


def test_a_hedge_of_which_nobody_knows_whether_it_left_is_the_last_message() -> None:
    conclusion = conclude(BESIDE, called(Kind.AMBIGUOUS), BOTH, NOW)
    assert [write.statement for write in conclusion.done.writes] == ["conclude"]
    assert conclusion.state is AttemptState.UNKNOWN
