"""What an attempt comes to, class by class."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from tests.support.sends import (
    ABOUT,
    BLIND,
    CAN_BE_ASKED,
    CAN_BE_TRACED,
    DEDUPES,
    NORTH,
    NOW,
    SOUTH,
    attempt,
    called,
    routing,
    tried,
)
from watchword.dispatch.decide.approach import NO_ANSWER, RECEIPT_CAME, TOO_LATE, approach
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Abilities, Attempt, Came, Nobody, Routing
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY, NO_ROUTE
from watchword.dispatch.decide.tell import Conclusion
from watchword.dispatch.exchange import NOT_AS_REGISTERED
from watchword.events import topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.send_requested import SendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.gateways.outcome import OutcomeClass as Kind
from watchword.kernel.event import Emit, Event
from watchword.kernel.gsm7 import Size
from watchword.kernel.ids import attempt_id
from watchword.kernel.verification import ATTEMPT_TRANSITIONS, AttemptState

ONE, TWO = routing(NORTH), routing(NORTH, SOUTH)
LATER = NOW + timedelta(seconds=2)
UNKNOWN = AttemptState.UNKNOWN


def end_of(case: Attempt, came: Came, route: Routing = TWO) -> Conclusion:
    return conclude(case, came, route, LATER)


def emits(conclusion: Conclusion) -> list[Emit]:
    return [emit for write in conclusion.done.writes for emit in write.emits]


def event(conclusion: Conclusion, kind: type[Event]) -> Any:
    [found] = [emit.event for emit in emits(conclusion) if isinstance(emit.event, kind)]
    return found


def shape(conclusion: Conclusion) -> tuple[str, ...]:
    """The state, the statements after the one that concludes, and who follows at once."""
    follows = (conclusion.follow.choice.account.id,) if conclusion.follow else ()
    return (conclusion.state.value, *(write.statement for write in conclusion.done.writes[1:]), *follows)


LEFT_TWICE = (tried("east", UNKNOWN), tried("west", UNKNOWN, no=2))
CASES: dict[str, tuple[Attempt, Came, Routing, tuple[str, ...]]] = {
    "accepted": (attempt(), called(Kind.ACCEPTED), TWO, ("accepted",)),
    "a wrong number ends it": (attempt(), called(Kind.DESTINATION), TWO, ("rejected", "fail")),
    "a block ends it": (attempt(), called(Kind.BLOCKED), TWO, ("rejected", "fail")),
    "an expired code ends it": (attempt(), called(Kind.EXPIRED), TWO, ("rejected", "fail")),
    "throttled: the next account": (attempt(), called(Kind.THROTTLED), TWO, ("deferred", "south")),
    "away: the next account": (attempt(), called(Kind.TEMPORARY), TWO, ("deferred", "south")),
    "refused: the next account": (attempt(), called(Kind.ACCOUNT), TWO, ("deferred", "south")),
    "misconfigured: the next account": (attempt(), called(Kind.CONFIGURATION), TWO, ("deferred", "south")),
    "not as registered: no other account could": (attempt(), NOT_AS_REGISTERED, TWO, ("rejected", "fail")),
    "not as registered, a call was lost": (
        attempt(called_before=True, recovery=1), NOT_AS_REGISTERED, TWO, ("unknown", "queue_next")),
    "throttled, no other account: a retry": (attempt(), called(Kind.THROTTLED), ONE, ("deferred", "queue_next")),
    "refused, no other account: the end": (attempt(), called(Kind.ACCOUNT), ONE, ("rejected", "fail")),
    "refused, the other away: a retry": (
        attempt(), called(Kind.ACCOUNT), routing(NORTH, SOUTH, away=[SOUTH]), ("deferred", "queue_next")),
    "the last try": (attempt(try_no=4), called(Kind.TEMPORARY), TWO, ("rejected", "fail")),
    "too much time gone for a retry": (
        attempt(first_try_at=NOW - timedelta(seconds=23)), called(Kind.TEMPORARY), ONE, ("rejected", "fail")),
    "a retry would be late": (
        attempt(send_deadline=LATER + timedelta(seconds=1)), called(Kind.TEMPORARY), ONE, ("rejected", "fail")),
    "asked to wait too long": (
        attempt(), called(Kind.THROTTLED, retry_after_ms=60_000), ONE, ("rejected", "fail")),
    "two may have left already": (attempt(try_no=3, tries=LEFT_TWICE), called(Kind.TEMPORARY), TWO,
                                  ("rejected", "fail")),
    "nobody there": (attempt(account=None), ACCOUNTS_AWAY, TWO, ("deferred", "queue_next")),
    "no route": (attempt(account=None), NO_ROUTE, routing(), ("rejected", "fail")),
    "unreadable": (attempt(), Nobody("message_unreadable", hopeless=True), TWO, ("rejected", "fail")),
    "too late": (attempt(), TOO_LATE, TWO, ("skipped_late", "fail")),
    "a receipt came": (attempt(try_no=2), RECEIPT_CAME, TWO, ("skipped_late",)),
    "blind, no answer: once more later": (attempt(), called(Kind.AMBIGUOUS), TWO, ("unknown", "queue_next")),
    "blind, no answer, hold": (
        attempt(account=replace(NORTH, on_unknown="hold")), called(Kind.AMBIGUOUS), TWO, ("unknown",)),
    "blind, no answer, the second that may have left": (
        attempt(try_no=2, tries=(tried("south", UNKNOWN),)), called(Kind.AMBIGUOUS), TWO, ("unknown",)),
    "blind, no answer, nobody waits": (attempt(live=False), called(Kind.AMBIGUOUS), TWO, ("unknown",)),
    "blind, no answer, too late to repeat": (
        attempt(send_deadline=LATER + timedelta(seconds=8)), called(Kind.AMBIGUOUS), TWO, ("unknown",)),
    "dedupes, no answer": (attempt(abilities=DEDUPES), called(Kind.AMBIGUOUS), TWO, ("queued",)),
    "can be asked, no answer": (attempt(abilities=CAN_BE_ASKED), called(Kind.AMBIGUOUS), TWO, ("queued",)),
    "dedupes, no answer, the account is away and another is not": (
        attempt(abilities=DEDUPES), called(Kind.AMBIGUOUS), routing(NORTH, SOUTH, away=[NORTH]),
        ("unknown", "queue_next")),
    "dedupes, no answer, both are away": (
        attempt(abilities=DEDUPES), called(Kind.AMBIGUOUS), routing(NORTH, SOUTH, away=[NORTH, SOUTH]), ("queued",)),
    "dedupes, no answer, away, the other one has had its try": (
        attempt(abilities=DEDUPES, try_no=2, tries=(tried("south", AttemptState.DEFERRED),)), called(Kind.AMBIGUOUS),
        routing(NORTH, SOUTH, away=[NORTH]), ("queued",)),
    "dedupes, no answer, away, hold": (
        attempt(abilities=DEDUPES, account=replace(NORTH, on_unknown="hold")), called(Kind.AMBIGUOUS),
        routing(NORTH, SOUTH, away=[NORTH]), ("queued",)),
    "dedupes, no answer, this worker is leaving": (
        attempt(abilities=DEDUPES), called(Kind.AMBIGUOUS), TWO.closed(), ("queued",)),
    "can be asked, but its account is away and another is not": (
        attempt(abilities=CAN_BE_ASKED, recovery=1, called_before=True), NO_ANSWER,
        routing(NORTH, SOUTH, away=[NORTH]), ("unknown", "queue_next")),
    "dedupes, nobody waits": (attempt(abilities=DEDUPES, live=False), called(Kind.AMBIGUOUS), TWO, ("unknown",)),
    "can be asked, nobody waits": (
        attempt(abilities=CAN_BE_ASKED, live=False), called(Kind.AMBIGUOUS), TWO, ("queued",)),
    "dedupes, asked often enough": (
        attempt(abilities=DEDUPES, recovery=3, called_before=True), NO_ANSWER, TWO, ("unknown", "queue_next")),
    "dedupes, waited long enough": (
        attempt(abilities=DEDUPES, recovery=1, called_before=True, first_try_at=NOW - timedelta(seconds=30)),
        NO_ANSWER, TWO, ("unknown", "queue_next")),
    "a repeat was throttled: the first call is still unknown": (
        attempt(abilities=DEDUPES, recovery=1, called_before=True), called(Kind.THROTTLED), TWO, ("queued",)),
    "a repeat was rejected: so was the first call": (
        attempt(abilities=DEDUPES, recovery=1, called_before=True), called(Kind.DESTINATION), TWO,
        ("rejected", "fail")),
    "the account is gone, a call was lost": (
        attempt(account=None, recovery=1, called_before=True), NO_ANSWER, TWO, ("unknown",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_comes_to(name: str) -> None:
    case, came, route, wanted = CASES[name]
    assert shape(end_of(case, came, route)) == wanted


@pytest.mark.parametrize("name", CASES)
def test_every_end_is_one_the_table_allows(name: str) -> None:
    case, came, route, _ = CASES[name]
    assert end_of(case, came, route).state in ATTEMPT_TRANSITIONS[AttemptState.SENDING]


@pytest.mark.parametrize(
    ("came", "route", "reason"),
    [
        (called(Kind.DESTINATION), TWO, "destination_rejected"),
        (called(Kind.BLOCKED), TWO, "blocked_by_carrier"),
        (called(Kind.EXPIRED), TWO, "too_late"),
        (called(Kind.ACCOUNT), ONE, "accounts_refused"),
        (called(Kind.THROTTLED, retry_after_ms=60_000), ONE, "accounts_away"),
        (NO_ROUTE, routing(), "no_route"),
        (NOT_AS_REGISTERED, TWO, "dlt_text_mismatch"),
        (TOO_LATE, TWO, "too_late"),
    ],
)
def test_a_failed_verification_says_why(came: Came, route: Routing, reason: str) -> None:
    told = event(end_of(attempt(), came, route), VerificationEnded)
    assert (told.state, told.reason, told.sends_used) == ("failed", reason, 1)


def test_an_accepted_attempt_tells_what_it_cost_and_how_long_it_took() -> None:
    answer = structs.replace(called(Kind.ACCEPTED, provider_id="p1", raw_code="202"), size=Size("gsm7", 200, 2))
    conclusion = end_of(attempt(), answer)
    told = event(conclusion, AttemptMade)
    assert (told.result, told.outcome, told.account, told.gateway) == ("accepted", "accepted", "north", "echo")
    assert (told.provider_id, told.raw_code, told.latency_ms, told.route_reason) == ("p1", "202", 12, "first")
    assert (told.price_micros, told.currency, told.segments, told.encoding) == (200, "USD", 2, "gsm7")
    assert told.client_ref == str(attempt().id)
    assert conclusion.price_micros == 200


def test_the_gateways_own_price_counts_before_ours() -> None:
    told = event(end_of(attempt(), called(Kind.ACCEPTED, price_micros=7, currency="EUR")), AttemptMade)
    assert (told.price_micros, told.currency) == (7, "EUR")


def test_what_did_not_leave_costs_nothing() -> None:
    told = event(end_of(attempt(), called(Kind.TEMPORARY)), AttemptMade)
    assert (told.price_micros, told.currency) == (0, "")


def test_a_message_after_one_that_may_have_left_is_told_as_a_possible_duplicate() -> None:
    second = attempt(try_no=2, tries=(tried("south", UNKNOWN),))
    assert end_of(second, called(Kind.ACCEPTED)).possible_duplicate
    assert event(end_of(second, called(Kind.ACCEPTED)), AttemptMade).possible_duplicate
    assert not end_of(attempt(try_no=2, tries=(tried("south"),)), called(Kind.ACCEPTED)).possible_duplicate


def test_a_lost_call_that_a_deduping_gateway_answers_is_no_duplicate() -> None:
    case = attempt(abilities=DEDUPES, recovery=1, called_before=True)
    assert not end_of(case, called(Kind.ACCEPTED, raw_code="duplicate")).possible_duplicate


@pytest.mark.parametrize(
    ("tier_s", "topic", "after_s"),
    [(0, topics.RETRY_1S, 1), (1, topics.RETRY_5S, 5), (5, topics.RETRY_15S, 15), (15, topics.RETRY_15S, 15)],
)
def test_each_retry_waits_in_the_next_longer_topic(tier_s: int, topic: str, after_s: int) -> None:
    conclusion = end_of(attempt(tier_s=tier_s), called(Kind.TEMPORARY), ONE)
    emit = emits(conclusion)[-1]
    assert isinstance(emit.event, SendRequested)
    assert (emit.topic, emit.event.not_before) == (topic, LATER + timedelta(seconds=after_s))


@pytest.mark.parametrize(
    ("abilities", "provider_id", "asked"),
    [
        (BLIND, "m-1", False),
        (CAN_BE_ASKED, "", True),
        (CAN_BE_TRACED, "m-1", True),
        (CAN_BE_TRACED, "", False),
    ],
)
def test_what_was_taken_is_asked_after_where_its_gateway_can_tell(
    abilities: Abilities, provider_id: str, asked: bool
) -> None:
    conclusion = end_of(attempt(abilities=abilities), called(Kind.ACCEPTED, provider_id=provider_id))
    assert (conclusion.done.writes[0].row[-2] == ABOUT.expires_at) is asked


def test_of_an_unanswered_call_nobody_can_be_asked_who_knows_messages_by_their_id_alone() -> None:
    assert end_of(attempt(abilities=CAN_BE_TRACED), called(Kind.AMBIGUOUS)).state is AttemptState.UNKNOWN
    assert approach(attempt(abilities=CAN_BE_TRACED, called_before=True, recovery=1), LATER) is NO_ANSWER


def test_a_retry_names_the_next_attempt_and_what_was_tried() -> None:
    conclusion = end_of(attempt(tier_s=1, template="payment"), called(Kind.TEMPORARY), ONE)
    request = event(conclusion, SendRequested)
    following = attempt_id(request.verification_id, 1, 2)
    assert (request.attempt_id, request.try_no, request.recovery) == (following, 2, 0)
    assert (request.tried, request.left, request.first_try_at) == (("north",), 0, NOW)
    assert request.template == "payment"
    assert conclusion.done.writes[-1].key == str(following)


def test_a_retry_is_queued_by_whoever_ended_the_try_before_it_and_nobody_else() -> None:
    again = attempt(recovery=2, called_before=True, owner="me")
    queue = end_of(again, called(Kind.AMBIGUOUS)).done.writes[-1]
    assert (queue.statement, queue.row[:3]) == ("queue_next", (again.id, "me", 2))


def test_a_throttling_gateway_is_given_the_time_it_asks_for() -> None:
    request = event(end_of(attempt(), called(Kind.THROTTLED, retry_after_ms=6_200), ONE), SendRequested)
    assert request.not_before == LATER + timedelta(seconds=7)


def test_a_send_is_given_up_once_its_retries_would_come_too_late_for_whoever_waits() -> None:
    late = attempt(first_try_at=LATER - timedelta(seconds=24, milliseconds=500))
    assert end_of(late, ACCOUNTS_AWAY).state is AttemptState.REJECTED
    assert (
        end_of(structs.replace(late, first_try_at=LATER - timedelta(seconds=24)), ACCOUNTS_AWAY).state
        is AttemptState.DEFERRED
    )


def test_a_send_whose_first_message_died_with_its_process_is_not_given_up_for_the_time_that_this_took() -> None:
    """A lease of 15 s and 8 s of doubt leave nothing of the window, and the user may have nothing."""
    second = attempt(try_no=2, tries=(tried(state=UNKNOWN),), first_try_at=LATER - timedelta(seconds=40), account=SOUTH)
    assert end_of(second, ACCOUNTS_AWAY).state is AttemptState.DEFERRED
    assert end_of(second, called(Kind.TEMPORARY)).state is AttemptState.DEFERRED
    assert end_of(structs.replace(second, try_no=4), ACCOUNTS_AWAY).state is AttemptState.REJECTED


def test_an_unknown_message_is_repeated_after_eight_seconds() -> None:
    request = event(end_of(attempt(), called(Kind.AMBIGUOUS)), SendRequested)
    assert (request.not_before, request.left) == (LATER + timedelta(seconds=8), 1)


def test_a_lost_call_is_taken_up_under_the_same_reference_and_the_next_recovery() -> None:
    conclusion = end_of(attempt(abilities=DEDUPES), called(Kind.AMBIGUOUS))
    [emit] = emits(conclusion)
    assert isinstance(emit.event, SendRequested)
    assert (emit.event.attempt_id, emit.event.try_no, emit.event.recovery, emit.ordinal) == (attempt().id, 1, 1, 1)
    assert emit.topic == topics.RETRY_1S


def test_the_try_that_follows_at_once_knows_what_was_before_it() -> None:
    case = attempt()
    follow = end_of(case, called(Kind.TEMPORARY)).follow
    assert follow is not None
    following = case.next(follow.id, follow.choice, BLIND, follow.concluded)
    assert (following.id, following.try_no) == (attempt_id(case.about.verification_id, 1, 2), 2)
    assert [(each.account, each.outcome) for each in following.tries] == [("north", "temporary")]
    assert following.account == SOUTH


def test_the_same_end_is_told_under_the_same_name() -> None:
    first, second = (end_of(attempt(), called(Kind.TEMPORARY), ONE) for _ in range(2))
    assert [(emit.subject, emit.ordinal) for emit in emits(first)] == [
        (emit.subject, emit.ordinal) for emit in emits(second)
    ]


def test_no_event_of_an_attempt_holds_its_secrets() -> None:
    account = replace(NORTH, secrets={"token": "hush-hush"})
    conclusion = end_of(attempt(account=account), called(Kind.AMBIGUOUS))
    assert "hush-hush" not in repr(conclusion)
