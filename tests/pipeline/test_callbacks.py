"""callbacks between real Kafka, Postgres and HTTP receivers: told once, signed, and nobody waits for another."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.callbacks import (
    NEXT_SECRET,
    SECRET,
    configure,
    ended,
    ending,
    endpoint,
    id_of,
    states,
    tell,
)
from tests.support.pipeline import Pipeline
from tests.support.receiver import HANGS, Called, Receiver, Reply, receiver
from tests.support.waiting import eventually
from watchword.events import envelope, topics
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.verification_ended import VerificationEnded

GONE = Reply(410)


@pytest.fixture(autouse=True)
def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_CALLBACKS_ALLOW_LOCAL", "true")
    monkeypatch.setenv("WATCHWORD_CALLBACKS_PAUSE_S", "0.02")
    monkeypatch.setenv("WATCHWORD_CALLBACKS_TIMEOUT_S", "1")


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


def verified(call: Called, secret: str = SECRET) -> Any:
    """The body of a call, by the library that receivers use. Raises WebhookVerificationError."""
    return Webhook(secret).verify(call.body, dict(call.headers))


async def test_an_ending_is_told_by_a_webhook_that_its_receiver_can_verify(stand: Pipeline, shop: Receiver) -> None:
    await configure(stand, endpoint(shop.url))
    about = await ended(stand, at=datetime.now(UTC), reference="signup-1")
    async with stand.running("callbacks"):
        await tell(stand, about)
        [call] = await shop.called(1)
        [delivered] = await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")
        await stand.outbox_is_empty()
    told = verified(call)
    assert (call.headers["webhook-id"], call.headers["content-type"]) == (str(id_of(about)), "application/json")
    assert told["type"] == "otp.verification-ended.v1"
    assert told["data"]["verification_id"] == str(about.verification_id)
    assert (told["data"]["state"], told["data"]["reference"]) == ("approved", "signup-1")
    assert b"919876543210" not in call.body
    with pytest.raises(WebhookVerificationError):
        verified(call, NEXT_SECRET)
    assert isinstance(delivered.event, CallbackDelivered)
    assert (delivered.event.status, delivered.event.attempts, delivered.event.gave_up) == (204, 1, False)
    assert (delivered.event.about, delivered.event.endpoint) == (id_of(about), "main")
    assert (delivered.envelope.sequence, delivered.envelope.causation_id) == (6, str(id_of(about)))


async def test_during_a_rotation_both_secrets_verify(stand: Pipeline, shop: Receiver) -> None:
    await configure(stand, endpoint(shop.url, secrets=(NEXT_SECRET, SECRET)))
    async with stand.running("callbacks"):
        await tell(stand, await ended(stand, at=datetime.now(UTC)))
        [call] = await shop.called(1)
    assert verified(call, SECRET) == verified(call, NEXT_SECRET)
    assert len(call.headers["webhook-signature"].split()) == 2


async def test_the_same_event_read_again_is_delivered_once(stand: Pipeline, shop: Receiver) -> None:
    await configure(stand, endpoint(shop.url))
    about, last = [
        await ended(stand, at=datetime.now(UTC), number=number) for number in ("+919876543210", "+919876543211")
    ]
    async with stand.running("callbacks"):
        for _ in range(3):
            await tell(stand, about)
        await states(stand, wanted={"delivered": 1})
        await tell(stand, about, last)
        await states(stand, wanted={"delivered": 2})
    assert sorted(shop.ids) == sorted([str(id_of(about)), str(id_of(last))])


async def test_every_endpoint_of_the_tenant_that_asked_for_the_event_gets_it_and_no_other(stand: Pipeline) -> None:
    async with receiver() as first, receiver() as second, receiver() as deaf:
        await configure(
            stand,
            endpoint(first.url, name="first"),
            endpoint(second.url, name="second", events='"verification-ended", "code-checked"'),
            endpoint(deaf.url, name="deaf", events='"code-checked"'),
        )
        other = await ended(stand, at=datetime.now(UTC), tenant="other")
        async with stand.running("callbacks"):
            await tell(stand, other, await ended(stand, at=datetime.now(UTC)))
            await states(stand, wanted={"delivered": 2})
            told = await stand.told(topics.LIFECYCLE, count=2, name="callback-delivered")
    assert first.ids == second.ids
    assert len(first.ids) == 1
    assert deaf.calls == []
    assert sorted(each.envelope.sequence for each in told) == [6, 7]


async def test_a_failure_is_tried_again_within_the_life_of_the_code_under_the_same_id(
    stand: Pipeline, shop: Receiver
) -> None:
    shop.script.extend([Reply(500), Reply(302, headers={"Location": "/elsewhere"})])
    await configure(stand, endpoint(shop.url))
    async with stand.running("callbacks"):
        await tell(stand, await ended(stand, at=datetime.now(UTC)))
        calls = await shop.called(3)
        await states(stand, wanted={"delivered": 1})
        [delivered] = await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")
    assert len(set(shop.ids)) == 1
    assert {call.path for call in calls} == {"/otp"}
    assert calls[1].at_s - calls[0].at_s >= 0.8
    assert isinstance(delivered.event, CallbackDelivered)
    assert delivered.event.attempts == 3


async def test_an_endpoint_that_asks_for_time_gets_it(stand: Pipeline, shop: Receiver) -> None:
    shop.script.append(Reply(429, headers={"Retry-After": "3"}))
    await configure(stand, endpoint(shop.url))
    numbers = ("+919876543210", "+919876543211")
    first, second = [await ended(stand, at=datetime.now(UTC), number=number) for number in numbers]
    async with stand.running("callbacks"):
        await tell(stand, first)
        await shop.called(1)
        await tell(stand, second)
        calls = await shop.called(3)
    assert calls[1].at_s - calls[0].at_s >= 2.9
    assert sorted(set(shop.ids)) == sorted([str(id_of(first)), str(id_of(second))])


async def test_a_dead_endpoint_delays_nobody_else(stand: Pipeline, shop: Receiver) -> None:
    abouts = [await ended(stand, at=datetime.now(UTC), number=f"+9198765432{number:02d}") for number in range(30)]
    async with receiver(HANGS) as dead:
        await configure(stand, endpoint(dead.url, name="dead"), endpoint(shop.url))
        async with stand.running("callbacks") as process:
            await tell(stand, *abouts)
            await shop.called(30)
            await dead.called(8)
            await states(stand, wanted={"pending": 30, "delivered": 30})
            lag_s = process.metrics.value("watchword_callbacks_lag_seconds_sum")
    assert len(set(shop.ids)) == 30
    assert lag_s is not None
    assert lag_s / 30 < 5.0, "no call that hangs was waited for: each hangs for that long"
    assert 8 <= len(dead.calls) <= 13, "its lanes once, as many again as it takes to open, then one to look"


async def test_gone_disables_the_endpoint_until_a_changed_document_is_applied(stand: Pipeline, shop: Receiver) -> None:
    shop.always = GONE
    await configure(stand, endpoint(shop.url))
    numbers = ("+919876543210", "+919876543211", "+919876543212")
    first, second, third = [await ended(stand, at=datetime.now(UTC), number=number) for number in numbers]
    async with stand.running("callbacks"):
        await tell(stand, first)
        [gone] = await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")
        await states(stand, wanted={"disabled": 1})
        await tell(stand, second)
        await states(stand, wanted={"disabled": 2})
    shop.always = Reply(200)
    await configure(stand, endpoint(shop.url, secrets=(NEXT_SECRET,)))
    async with stand.running("callbacks"):
        await tell(stand, third)
        await states(stand, wanted={"disabled": 2, "delivered": 1})
    assert isinstance(gone.event, CallbackDelivered)
    assert (gone.event.status, gone.event.gave_up) == (410, True)
    assert shop.ids == [str(id_of(first)), str(id_of(third))]
    verified(shop.calls[-1], NEXT_SECRET)


async def test_an_endpoint_that_its_tenant_disabled_is_not_called(stand: Pipeline, shop: Receiver) -> None:
    await configure(stand, endpoint(shop.url, disabled=True))
    async with stand.running("callbacks"):
        await tell(stand, await ended(stand, at=datetime.now(UTC)))
        await states(stand, wanted={"disabled": 1})
    assert shop.calls == []


async def test_what_is_past_its_schedule_is_given_up_and_told(stand: Pipeline, shop: Receiver) -> None:
    shop.always = Reply(503)
    await configure(stand, endpoint(shop.url))
    async with stand.running("callbacks"):
        await tell(stand, await ended(stand, at=datetime.now(UTC)))
        await shop.called(1)
        long_ago = datetime.now(UTC) - timedelta(hours=100)

        async def tried() -> bool:
            changed = await stand.connection.execute(
                "UPDATE callback_deliveries SET begun_at = $1, expires_at = $1, gives_up_at = $1 WHERE status = 503",
                long_ago,
            )
            return bool(changed == "UPDATE 1")

        await eventually(tried, within_s=10, what="a failed try on record")
        [told] = await stand.told(topics.LIFECYCLE, count=1, name="callback-delivered")
    assert isinstance(told.event, CallbackDelivered)
    assert (told.event.gave_up, told.event.status) == (True, 503)


async def test_a_publisher_gets_its_result_on_the_topic_with_the_words_of_the_webhook(
    stand: Pipeline, shop: Receiver
) -> None:
    await configure(stand, endpoint(shop.url))
    about = await ended(stand, at=datetime.now(UTC), reference="order-77", request_id="req-77")
    async with stand.running("callbacks"):
        for _ in range(2):
            await tell(stand, about)
        [call] = await shop.called(1)
        [result] = await stand.told(topics.RESULTS, count=1)
        await stand.outbox_is_empty()
    assert len(await stand.read(topics.RESULTS)) == 1
    assert (result.key, result.envelope.correlation_id) == ("order-77", "req-77")
    assert (result.envelope.causation_id, result.envelope.sequence) == (str(id_of(about)), 0)
    assert isinstance(result.event, VerificationEnded)
    assert result.value is not None
    assert call.body.endswith(b'"data":' + result.value + b"}")


async def test_a_tenant_with_a_topic_of_its_own_finds_every_result_there(stand: Pipeline) -> None:
    """One that ended while the broker would not make the topic, too."""
    await configure(stand)
    about = await ended(stand, at=datetime.now(UTC), tenant="press")
    waited = await ended(stand, at=datetime.now(UTC), tenant="press", number="+919876543211")
    await stand.connection.execute(
        "INSERT INTO callback_deliveries (verification_id, event_id, endpoint, tenant, event, body, state, told_at, "
        "begun_at, next_at, expires_at, gives_up_at) "
        "SELECT $1, $2, '', 'press', 'verification-ended', '', 'pending', now(), now(), now(), now(), now()",
        waited.verification_id, id_of(waited),
    )  # fmt: skip
    async with stand.running("callbacks"):
        await stand.publish(ending(about), subject=str(about.verification_id))
        await stand.publish(ending(waited), subject=str(waited.verification_id))
        await states(stand, wanted={"delivered": 2})
        await stand.outbox_is_empty()
    results = await stand.read("press.results")
    assert {result.envelope.tenant for result in results} == {"press"}
    assert sorted(result.key for result in results) == sorted(str(each.verification_id) for each in (about, waited))
    assert await stand.read(topics.RESULTS) == []


async def test_an_endpoint_on_this_machine_is_refused_where_the_setting_does_not_allow_it(
    stand: Pipeline, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHWORD_CALLBACKS_ALLOW_LOCAL", "false")
    await configure(stand, endpoint(shop.url))
    async with stand.running("callbacks") as process:
        await tell(stand, await ended(stand, at=datetime.now(UTC)))

        async def refused() -> str:
            found = await stand.connection.fetchval("SELECT failure FROM callback_deliveries")
            return str(found or "")

        assert await eventually(refused, within_s=20, what="a refusal") == "url_address"
        counted = process.metrics.value("watchword_callbacks_results_total", outcome="again", reason="url_address")
    assert shop.calls == []
    assert counted


async def test_the_row_keeps_neither_the_number_nor_a_secret(stand: Pipeline, shop: Receiver) -> None:
    await configure(stand, endpoint(shop.url))
    async with stand.running("callbacks"):
        await tell(stand, await ended(stand, at=datetime.now(UTC)))
        await states(stand, wanted={"delivered": 1})
    body = await stand.connection.fetchval("SELECT body FROM callback_deliveries")
    assert msgspec.json.decode(body)["type"] == envelope.type_of(VerificationEnded)
    dumped = await stand.connection.fetchval(
        "SELECT string_agg(t::text, '') FROM (SELECT d::text FROM callback_deliveries d "
        "UNION ALL SELECT c::text FROM configuration c) t"
    )
    assert "919876543210" not in dumped + body.decode()
    assert SECRET not in dumped
