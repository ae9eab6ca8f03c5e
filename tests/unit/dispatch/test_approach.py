"""What is done first about a claimed attempt."""

from datetime import timedelta

import pytest

from tests.support.sends import BLIND, CAN_BE_ASKED, DEDUPES, NOW, attempt
from watchword.dispatch.decide.approach import (
    IT_LEFT,
    NO_ANSWER,
    RECEIPT_CAME,
    TOO_LATE,
    Way,
    after_asking,
    approach,
    uncalled,
)
from watchword.dispatch.decide.facts import Abilities, Attempt, Called
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY
from watchword.gateways.outcome import Outcome, OutcomeClass

LATE = {"send_deadline": NOW}
LOST = {"called_before": True, "recovery": 1}
BOTH = Abilities(dedupes=True, can_be_asked=True)


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        (attempt(), Way.SEND),
        (attempt(**LATE), TOO_LATE),
        (attempt(live=False), TOO_LATE),
        (attempt(settled=True), RECEIPT_CAME),
        (attempt(**LOST, abilities=DEDUPES), Way.SEND),
        (attempt(**LOST, abilities=DEDUPES, **LATE), NO_ANSWER),
        (attempt(**LOST, abilities=DEDUPES, live=False), NO_ANSWER),
        (attempt(**LOST, abilities=CAN_BE_ASKED), Way.ASK),
        (attempt(**LOST, abilities=CAN_BE_ASKED, live=False), Way.ASK),
        (attempt(**LOST, abilities=BOTH), Way.SEND),
        (attempt(**LOST, abilities=BOTH, **LATE), Way.ASK),
        (attempt(**LOST, abilities=BLIND), NO_ANSWER),
        (attempt(**LOST, abilities=BLIND, settled=True), NO_ANSWER),
        (attempt(**LOST, abilities=BLIND, received=True), IT_LEFT),
        (attempt(**LOST, abilities=BOTH, received=True, live=False), IT_LEFT),
        (attempt(recovery=1), Way.SEND),
    ],
)
def test_an_attempt_is_taken_up(case: Attempt, wanted: Way | Called) -> None:
    assert approach(case, NOW) == wanted


def test_a_message_the_gateway_has_is_not_sent_again() -> None:
    found = Outcome(OutcomeClass.ACCEPTED, provider_id="p1")
    assert after_asking(attempt(**LOST), found, NOW) == Called(found)


def test_a_message_the_gateway_never_saw_is_sent() -> None:
    assert after_asking(attempt(**LOST), None, NOW) is Way.SEND


@pytest.mark.parametrize("changes", [LATE, {"live": False}])
def test_a_message_nobody_waits_for_any_more_is_not_sent_even_if_it_never_left(changes: dict[str, object]) -> None:
    assert after_asking(attempt(**LOST, **changes), None, NOW) == TOO_LATE


def test_nobody_to_call_leaves_a_lost_call_unknown() -> None:
    assert uncalled(attempt(**LOST), ACCOUNTS_AWAY) == NO_ANSWER
    assert uncalled(attempt(), ACCOUNTS_AWAY) == ACCOUNTS_AWAY


def test_the_deadline_itself_is_too_late() -> None:
    case = attempt()
    assert approach(case, case.send_deadline - timedelta(microseconds=1)) is Way.SEND
    assert approach(case, case.send_deadline) == TOO_LATE
