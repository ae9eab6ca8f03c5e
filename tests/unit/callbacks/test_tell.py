"""Who hears of an event, and in which words."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from tests.unit.callbacks.stories import ABOUT, AUDIENCE, ENDED, EVENT_ID, MAIN, NOW, STANDING
from watchword.callbacks.decide.tell import Audience, Subscriber, TopicState, decide, notice, outward, waited_for
from watchword.events import envelope, topics
from watchword.events.attempt_made import AttemptMade, AttemptResult
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.code_issued import CodeIssued
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.verification import shared
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.event import Event
from watchword.kernel.verdict import Dead, Done, Write

MADE = AttemptMade(
    **shared(ABOUT),
    attempt_id=UUID(int=7),
    send_no=1,
    try_no=2,
    result=AttemptResult.ACCEPTED,
    outcome="accepted",
    account="alpha",
    gateway="echo",
    route_reason="failover",
    client_ref="c-1",
    provider_id="p-1",
    raw_code="0",
    price_micros=7_500,
    currency="USD",
    latency_ms=40,
)
FROM_KAFKA = replace(STANDING, request_id="req-1")


def writes(event: Event, audience: Audience) -> tuple[Write, ...]:
    verdict = decide(event, audience, NOW)
    assert isinstance(verdict, Done)
    return verdict.writes


def test_a_subscriber_is_owed_one_row_with_the_words_it_will_get() -> None:
    [write] = writes(ENDED, AUDIENCE)
    row = dict(
        zip(
            ("verification_id", "event_id", "endpoint", "tenant", "event", "body", "state", "told_at", "begun_at"),
            write.row,
            strict=False,
        )
    )
    assert (write.statement, write.key) == ("owe", f"{EVENT_ID}/main")
    assert (row["endpoint"], row["tenant"], row["event"]) == ("main", "shop", "verification-ended")
    assert (row["state"], row["begun_at"], row["told_at"]) == ("pending", NOW, AUDIENCE.told_at)
    told = msgspec.json.decode(row["body"])
    assert list(told) == ["type", "timestamp", "data"]
    assert (told["type"], told["timestamp"]) == ("otp.verification-ended.v1", "2026-03-02T08:59:59.000Z")
    assert told["data"]["state"] == "approved"


def test_a_disabled_endpoint_is_owed_it_for_later() -> None:
    audience = replace(AUDIENCE, subscribers=(MAIN, Subscriber("second", disabled=True)))
    assert [write.row[6] for write in writes(ENDED, audience)] == ["pending", "disabled"]


def test_the_words_of_a_webhook_are_those_on_the_topic_byte_for_byte() -> None:
    webhook, result = writes(ENDED, replace(AUDIENCE, standing=FROM_KAFKA))
    [emit] = result.emits
    assert f'"data":{envelope.encode(emit.event).decode()}}}'.encode() in webhook.row[5]


def test_a_published_request_gets_its_result_under_its_reference_and_its_own_id() -> None:
    _, result = writes(ENDED, replace(AUDIENCE, standing=FROM_KAFKA))
    [emit] = result.emits
    assert (emit.topic, emit.key, emit.correlation) == (topics.RESULTS, "signup-8f21", "req-1")
    assert not emit.counted
    assert result.row[2] == ""
    assert result.row[6] == "delivered"


def test_without_a_reference_the_verification_is_the_key() -> None:
    standing = replace(FROM_KAFKA, about=msgspec.structs.replace(ABOUT, reference=""))
    [result] = writes(ENDED, replace(AUDIENCE, standing=standing, subscribers=()))
    assert result.emits[0].key == str(ABOUT.verification_id)


def test_a_tenant_with_a_topic_of_its_own_gets_every_result_there() -> None:
    [result] = writes(ENDED, replace(AUDIENCE, subscribers=(), own_topic="shop.results"))
    assert result.emits[0].topic == "shop.results"


def test_a_request_over_http_without_a_topic_has_no_result_on_kafka() -> None:
    assert [write.row[2] for write in writes(ENDED, AUDIENCE)] == ["main"]


def test_only_endings_are_results() -> None:
    audience = replace(AUDIENCE, standing=FROM_KAFKA, own_topic="shop.results")
    assert [write.row[2] for write in writes(MADE, audience)] == ["main"]


@pytest.mark.parametrize("state", [TopicState.UNKNOWN, TopicState.REFUSED])
def test_while_a_results_topic_does_not_stand_the_result_waits_and_no_webhook_does(state: TopicState) -> None:
    audience = replace(AUDIENCE, own_topic="shop.results", own_topic_state=state)
    webhook, result = writes(ENDED, audience)
    assert (webhook.row[2], webhook.row[6]) == ("main", "pending")
    assert (result.row[2], result.row[6], result.emits) == ("", "pending", ())
    assert [write.row[2] for write in writes(MADE, audience)] == ["main"]


def test_a_result_that_has_waited_is_the_one_that_would_have_been_told_at_once() -> None:
    audience = replace(AUDIENCE, subscribers=(), standing=FROM_KAFKA, own_topic="shop.results")
    [at_once] = writes(ENDED, audience)
    [late] = waited_for(EVENT_ID, FROM_KAFKA, "shop.results").writes
    assert late.emits == at_once.emits
    assert (late.statement, late.key, late.row) == ("tell_result", at_once.key, (ABOUT.verification_id, EVENT_ID))


@pytest.mark.parametrize(
    ("event", "audience"),
    [
        (ENDED, None),
        (CallbackDelivered(**shared(ABOUT), endpoint="main", about=EVENT_ID, status=200, attempts=1), AUDIENCE),
        (ENDED, replace(AUDIENCE, subscribers=())),
        (ENDED, replace(AUDIENCE, subscribers=(), standing=None)),
    ],
)
def test_where_nobody_asked_nobody_is_told(event: Event, audience: Audience | None) -> None:
    assert decide(event, audience, NOW) == Done.unchanged()


def test_what_somebody_waits_for_and_nobody_knows_is_buried() -> None:
    assert decide(ENDED, replace(AUDIENCE, standing=None), NOW) == Dead("unknown_verification")


def test_an_event_that_names_another_tenant_than_its_verification_is_buried() -> None:
    other = msgspec.structs.replace(ENDED, tenant="other")
    assert decide(other, AUDIENCE, NOW) == Dead("tenant_differs")


def test_an_old_topic_read_again_wakes_nobody() -> None:
    assert decide(ENDED, AUDIENCE, NOW + timedelta(days=8)) == Done.unchanged()


def test_a_platform_reads_no_carrier_no_price_and_nothing_of_what_fraud_counts() -> None:
    ended = outward(ENDED, STANDING)
    assert isinstance(ended, VerificationEnded)
    assert b"not-for-them" not in notice(ended, NOW)
    assert (ended.sends_used, ended.checks_used, ended.reason) == (1, 2, "right_code")
    made = notice(outward(MADE, STANDING), NOW)
    assert not [word for word in (b"alpha", b"echo", b"failover", b"c-1", b"p-1", b"7500", b"USD") if word in made]
    assert b'"result":"accepted"' in made
    receipt = ReceiptRecorded(
        **shared(ABOUT), attempt_id=UUID(int=7), account="alpha", state=ReceiptWord.DELIVERED, provider_id="p-1"
    )
    told = notice(outward(receipt, STANDING), NOW)
    assert b"alpha" not in told
    issued = CodeIssued(**shared(ABOUT), code_version=1, send_no=1, digits=6, silent=True)
    assert b"silent" not in notice(outward(issued, STANDING), NOW)
    assert b'"state":"delivered"' in told


def test_the_same_event_read_twice_is_owed_under_the_same_keys() -> None:
    audience = replace(AUDIENCE, standing=FROM_KAFKA)
    first, second = writes(ENDED, audience), writes(ENDED, audience)
    assert [write.key for write in first] == [write.key for write in second] == [f"{EVENT_ID}/main", f"{EVENT_ID}/"]
