"""Messages of which no receipt came, between real Kafka, real Postgres and carriers over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.dispatch import CONFIGURATION, sending
from tests.support.pipeline import Pipeline
from watchword.events import topics
from watchword.events.receipt_recorded import ReceiptRecorded


async def test_a_message_of_which_no_receipt_came_is_asked_after_when_its_code_is_over(stand: Pipeline) -> None:
    async with sending(stand) as it, stand.running("dispatch"):
        attempt = await it.request(await it.issued())
        await it.reached(attempt, "accepted")
        owed = await stand.row(
            "SELECT receipt_ask_at = v.expires_at, receipt_due_at = v.expires_at + interval '10 minutes' AS due "
            "FROM attempts AS a JOIN verifications AS v ON v.id = a.verification_id"
        )
        assert tuple(owed) == (True, True)
        await stand.connection.execute("UPDATE attempts SET receipt_ask_at = now()")
        told = await stand.told(topics.LIFECYCLE, count=1, name="receipt-recorded")
    row = await stand.row("SELECT receipt_state, receipt_rank, receipt_ask_at, receipt_due_at FROM attempts")
    assert tuple(row) == ("delivered", 90, None, None)
    assert told[0].envelope.sequence == 5


@asynccontextmanager
async def twilio() -> AsyncIterator[tuple[str, list[str]]]:
    """A carrier that tells nothing by itself: its address, and what it was asked."""
    sid, asked = "SM0123456789abcdef0123456789abcdef", list[str]()

    async def take(_: web.Request) -> web.Response:
        return web.json_response({"sid": sid, "status": "queued"}, status=201)

    async def tell(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"sid": sid, "status": "undelivered", "error_code": 30007})

    door = web.Application()
    door.add_routes([web.post("/2010-04-01/Accounts/AC1/Messages.json", take)])
    door.add_routes([web.get("/2010-04-01/Accounts/AC1/Messages/{sid}", tell)])
    async with TestServer(door) as server:
        yield str(server.make_url("")), asked


async def test_a_carrier_that_knows_messages_by_its_own_id_is_asked_by_that(stand: Pipeline) -> None:
    async with (
        twilio() as (url, asked),
        sending(stand) as it,
    ):
        await stand.configure(CONFIGURATION, url=url, timeout_ms="3000", on_unknown="hold", uzbekistan="traced")
        async with stand.running("dispatch"):
            attempt = await it.request(await it.issued("+998901234567"))
            await it.reached(attempt, "accepted")
            await stand.connection.execute(
                "UPDATE attempts SET receipt_ask_at = now() WHERE receipt_ask_at IS NOT NULL"
            )
            [told] = await stand.told(topics.LIFECYCLE, count=1, name="receipt-recorded")
    assert isinstance(told.event, ReceiptRecorded)
    assert (told.event.state, told.event.raw_code) == ("rejected", "30007")
    assert asked == ["/2010-04-01/Accounts/AC1/Messages/SM0123456789abcdef0123456789abcdef.json"]
