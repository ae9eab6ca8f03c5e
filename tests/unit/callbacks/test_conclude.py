"""What an answer leads to: taken, again at the right moment, given up, or the endpoint is gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.callbacks.stories import ABOUT, CLAIM, EVENT_ID, NOW
from watchword.callbacks.decide.conclude import Answer, Ending, Result, conclude, record, retry_after
from watchword.callbacks.decide.schedule import gives_up_at
from watchword.events.callback_delivered import CallbackDelivered

PLACE = (CLAIM.verification_id, EVENT_ID, "main", 0, 1)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_means_that_the_endpoint_has_it(status: int) -> None:
    assert conclude(CLAIM, Answer(status), NOW) == Result(CLAIM, Answer(status), Ending.DELIVERED)


@pytest.mark.parametrize("status", [0, 100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503])
def test_anything_else_is_tried_again_within_seconds_while_the_code_lives(status: int) -> None:
    result = conclude(CLAIM, Answer(status), NOW)
    assert result.ending is None
    assert result.next_at is not None
    assert timedelta(seconds=1) <= result.next_at - NOW <= timedelta(seconds=1.1)


def test_gone_disables_the_endpoint_and_tells_that_no_further_try_follows() -> None:
    done = record(conclude(CLAIM, Answer(410), NOW), ABOUT)
    ended, gone = done.writes
    assert (ended.statement, ended.row) == ("conclude", (*PLACE, "disabled", 410, ""))
    assert (gone.statement, gone.key, gone.row) == ("disable", "shop/main", ("shop", "main", 4, "gone"))
    event = ended.emits[0].event
    assert isinstance(event, CallbackDelivered)
    assert (event.status, event.attempts, event.gave_up) == (410, 1, True)


def test_a_delivery_is_told_once_with_the_event_it_was_about() -> None:
    [write] = record(conclude(replace(CLAIM, attempts=3), Answer(204), NOW), ABOUT).writes
    assert write.row == (*PLACE[:-1], 3, "delivered", 204, "")
    [emit] = write.emits
    assert isinstance(emit.event, CallbackDelivered)
    assert (emit.event.about, emit.event.endpoint, emit.event.attempts) == (EVENT_ID, "main", 3)
    assert (emit.event.gave_up, emit.counted) == (False, True)
    assert (emit.subject, emit.key) == (f"{EVENT_ID}/main", str(ABOUT.verification_id))


def test_a_redelivery_is_another_fact_than_the_first_delivery() -> None:
    emits = [
        record(conclude(replace(CLAIM, round=number), Answer(200), NOW), ABOUT).writes[0].emits[0] for number in (0, 1)
    ]
    assert [(emit.subject, emit.ordinal) for emit in emits] == [(f"{EVENT_ID}/main", 0), (f"{EVENT_ID}/main", 1)]


def test_a_try_that_failed_is_written_down_and_told_to_nobody() -> None:
    result = conclude(CLAIM, Answer(failure="timeout"), NOW)
    [write] = record(result, ABOUT).writes
    assert (write.statement, write.row, write.emits) == ("again", (*PLACE, 0, "timeout", result.next_at), ())


def test_when_the_schedule_is_over_it_is_given_up() -> None:
    after = gives_up_at(CLAIM.begun_at, CLAIM.expires_at)
    result = conclude(CLAIM, Answer(503, retry_after_s=60), after)
    assert result.ending is Ending.GAVE_UP
    [write] = record(result, ABOUT).writes
    event = write.emits[0].event
    assert isinstance(event, CallbackDelivered)
    assert (event.status, event.gave_up) == (503, True)


def test_what_was_never_tried_or_whose_verification_is_gone_ends_without_an_event() -> None:
    given_up = Result(CLAIM, Answer(), Ending.GAVE_UP)
    assert record(given_up, None).writes[0].emits == ()
    assert record(replace(given_up, claim=replace(CLAIM, attempts=0)), ABOUT).writes[0].emits == ()


def test_the_endpoints_own_wish_for_later_is_honoured() -> None:
    result = conclude(CLAIM, Answer(429, retry_after_s=90), NOW)
    assert result.next_at == NOW + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        ("999999999999999999999", 999_999_999.0),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("Mon, 02 Mar 2026 09:01:30 GMT", 90.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0.0),
        ("Mon, 02 Mar 2026 09:01:30", 90.0),
        ("Mon, 99 Mar 2026 09:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds
