"""Providers that want to know whether the codes in their messages are typed, between real Kafka and real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.dispatch import CONFIGURATION, Sending, sending
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.waiting import eventually
from watchword.dispatch.feedback import CALLS_MAX

ACCOUNT = "/2010-04-01/Accounts/AC1"


@dataclass
class Carrier:
    """A carrier that takes messages at once, and feedback while `listens`."""

    listens: asyncio.Event = field(default_factory=asyncio.Event)
    announced: list[str] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)
    hanging: int = 0

    async def is_busy(self) -> bool:
        """Whether it is told of as much as it may be at a time."""
        return self.hanging == CALLS_MAX

    async def take(self, request: web.Request) -> web.Response:
        """One message."""
        self.announced.append(str((await request.post()).get("ProvideFeedback", "")))
        return web.json_response({"sid": f"SM{len(self.announced):032x}", "status": "queued"}, status=201)

    async def hear(self, request: web.Request) -> web.Response:
        """What became of one."""
        self.hanging += 1
        try:
            await self.listens.wait()
        finally:
            self.hanging -= 1
        self.heard.append((request.match_info["sid"], str((await request.post())["Outcome"])))
        return web.json_response({"outcome": "confirmed"}, status=201)


@asynccontextmanager
async def carrier(stand: Pipeline) -> AsyncIterator[tuple[Carrier, Sending]]:
    """A carrier that is told of codes that were typed, and dispatch configured to send by it."""
    own = Carrier()
    door = web.Application()
    door.add_routes([web.post(f"{ACCOUNT}/Messages.json", own.take)])
    door.add_routes([web.post(f"{ACCOUNT}/Messages/{{sid}}/Feedback.json", own.hear)])
    async with TestServer(door) as server, sending(stand) as it:
        url = str(server.make_url(""))
        await stand.configure(CONFIGURATION, url=url, timeout_ms="3000", on_unknown="hold", uzbekistan="told")
        yield own, it
        own.listens.set()


async def typed(stand: Pipeline) -> None:
    """Codes were typed, as checks would have written it down, and a minute has passed."""
    connection = stand.connection
    await connection.execute("UPDATE verifications SET state = 'approved', ended_at = clock_timestamp(), due_at = NULL")
    await connection.execute("UPDATE attempts SET feedback_at = now() WHERE feedback_at > concluded_at")


async def done(stand: Pipeline) -> None:
    async def nothing_left() -> bool:
        return bool(await stand.connection.fetchval("SELECT bool_and(feedback_at IS NULL) FROM attempts"))

    await eventually(nothing_left, within_s=PATIENCE_S, what="nothing to tell")


async def put_off(stand: Pipeline, count: int) -> bool:
    """Whether all those are looked at again by and by, and nobody holds one."""
    later = "SELECT count(*) FROM attempts WHERE feedback_at BETWEEN now() AND now() + interval '31 seconds'"
    return bool(await stand.connection.fetchval(later) == count)


async def test_a_carrier_hears_once_that_the_code_in_its_message_was_typed(stand: Pipeline) -> None:
    async with carrier(stand) as (own, it):
        own.listens.set()
        async with stand.running("dispatch"):
            await it.reached(await it.request(await it.issued("+998901234567")), "accepted")
            await typed(stand)
            await done(stand)
    assert own.announced == ["true"]
    assert own.heard == [(f"SM{1:032x}", "confirmed")]
    assert (await stand.row("SELECT feedback_tries FROM attempts"))["feedback_tries"] == 1


async def test_a_carrier_that_hangs_over_feedback_holds_no_code_up(stand: Pipeline) -> None:
    numbers = [f"+9989012345{number:02d}" for number in range(CALLS_MAX + 4)]
    async with carrier(stand) as (own, it), stand.running("dispatch"):
        for attempt in [await it.request(await it.issued(number)) for number in numbers]:
            await it.reached(attempt, "accepted")
        await typed(stand)
        await eventually(own.is_busy, within_s=PATIENCE_S, what="as many calls as it is given at a time")
        await it.reached(await it.request(await it.issued("+998901234599")), "accepted")
        assert (own.hanging, own.heard) == (CALLS_MAX, []), "it was sent beside calls that hang"
        await eventually(partial(put_off, stand, len(numbers)), within_s=PATIENCE_S, what="nothing to be under way")
        tries = await stand.connection.fetch("SELECT feedback_tries FROM attempts ORDER BY feedback_tries DESC")
        assert [row["feedback_tries"] for row in tries] == [1] * CALLS_MAX + [0] * 5, (
            "who was not called is not counted"
        )
    assert len(own.announced) == len(numbers) + 1
