"""dispatch as a process of its own, killed while it looks after what it sent: it asks again at the next occasion, and a
death costs a hedge but never makes two."""

import pytest

from tests.pipeline.test_feedback import carrier, done, typed
from tests.support.alone import KILLED, alone, died
from tests.support.dispatch import sending
from tests.support.pipeline import Pipeline
from watchword.events import topics

NUMBER = "+919876543210"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("point", ["dispatch.asking"])
async def test_dispatch_dies_before_it_asks_after_a_message_and_asks_at_the_next_occasion(
    stand: Pipeline, point: str
) -> None:
    """The question counts as asked: there is one more, five minutes before nobody waits any longer."""
    async with sending(stand) as it:
        async with stand.running("dispatch"):
            attempt = await it.request(await it.issued())
            await it.reached(attempt, "accepted")
            await stand.outbox_is_empty()
        await stand.connection.execute("UPDATE attempts SET receipt_ask_at = now()")
        async with alone(stand, "dispatch", point=point) as process:
            assert await died(process) == KILLED
        row = await stand.row("SELECT receipt_ask_at = receipt_due_at - interval '5 minutes' AS later FROM attempts")
        assert row["later"]
        async with stand.running("dispatch"):
            await stand.connection.execute("UPDATE attempts SET receipt_ask_at = now()")
            [told] = await stand.told(topics.LIFECYCLE, count=1, name="receipt-recorded")
            await stand.outbox_is_empty()
        assert len(await it.carriers.inbox(NUMBER)) == 1
    assert told.envelope.sequence == 5
    assert (await stand.row("SELECT receipt_state FROM attempts"))["receipt_state"] == "delivered"


@pytest.mark.parametrize("point", ["dispatch.feedback"])
async def test_dispatch_dies_before_it_tells_a_carrier_of_a_code_that_was_typed_and_tells_after_its_restart(
    stand: Pipeline, point: str
) -> None:
    """It is held for a minute and a half by whoever died over it."""
    async with carrier(stand) as (own, it):
        own.listens.set()
        async with stand.running("dispatch"):
            await it.reached(await it.request(await it.issued("+998901234567")), "accepted")
            await stand.outbox_is_empty()
        await typed(stand)
        async with alone(stand, "dispatch", point=point) as process:
            assert await died(process) == KILLED
        row = await stand.row("SELECT feedback_tries, feedback_at > now() AS held FROM attempts")
        assert (tuple(row), own.heard) == ((1, True), [])
        async with stand.running("dispatch"):
            await typed(stand)
            await done(stand)
    assert own.heard == [(f"SM{1:032x}", "confirmed")]


@pytest.mark.parametrize("point", ["dispatch.hedging"])
async def test_dispatch_dies_over_a_silent_message_and_it_is_never_hedged_twice(stand: Pipeline, point: str) -> None:
    """The occasion is gone with the process; a message that comes to be silent afterwards gets its own."""
    async with sending(stand) as it:
        async with stand.running("dispatch"):
            first = await it.request(await it.issued(purpose="hedged", sends_requested=1))
            await it.reached(first, "accepted")
            await stand.outbox_is_empty()
        await stand.connection.execute("UPDATE attempts SET hedge_at = now()")
        async with alone(stand, "dispatch", point=point) as process:
            assert await died(process) == KILLED
        async with stand.running("dispatch"):
            other = await it.request(await it.issued("+919876543211", purpose="hedged", sends_requested=1))
            await it.reached(other, "accepted")
            await stand.connection.execute("UPDATE attempts SET hedge_at = now() WHERE id = $1", other)
            await it.made(3)
        lost, hedged = await it.carriers.inbox(NUMBER), await it.carriers.inbox("+919876543211")
    assert ([each.carrier for each in lost], [each.carrier for each in hedged]) == (["north"], ["north", "south"])
