"""A carrier of the class that can be asked: it sends whatever it is told, repeats included, and can say whether it has
a reference. It speaks the `sinch` gateway's language to us and a simulated carrier's to the simulator behind it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from watchword.local.ports import LOOPBACK

ANSWER_WITHIN_S = 60.0
PLAN = "0123456789abcdef0123456789abcdef"
PATH = f"/xms/v1/{PLAN}/batches"


class Batches:
    """The door. `url` is where an account of gateway `sinch` calls; `carrier` the simulated one behind it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.carrier = ""
        self.port = 0

    async def send(self, request: web.Request) -> web.StreamResponse:
        """A message, handed on as it is."""
        told = orjson.loads(await request.read())
        message = {
            "client_ref": told["client_reference"],
            "to": told["to"][0],
            "text": told["body"],
            "sender": told["from"],
        }
        return await self._ask(request, "POST", "/messages", message)

    async def find(self, request: web.Request) -> web.StreamResponse:
        """The messages of one reference: one or none."""
        reference = request.query["client_reference"]
        answer = await self._ask(request, "GET", f"/messages?client_ref={reference}", None)
        assert isinstance(answer, web.Response) and isinstance(answer.body, bytes)
        if answer.status == 404:
            return web.json_response({"batches": []})
        if answer.status != 200:
            return answer
        return web.json_response({"batches": [orjson.loads(answer.body)]})

    async def _ask(self, request: web.Request, method: str, path: str, body: Any) -> web.StreamResponse:
        """What the carrier says; where it hangs up, so do we."""
        headers = {"Authorization": request.headers["Authorization"]}
        try:
            async with self._session.request(method, self.carrier + path, json=body, headers=headers) as answer:
                told = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if answer.status >= 400:
            told = {"code": str(told.get("error", ""))}
        status = 201 if answer.status == 202 else answer.status
        return web.Response(status=status, body=orjson.dumps(told), content_type="application/json")


@asynccontextmanager
async def batches() -> AsyncIterator[Batches]:
    """Such a carrier on a free port."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)) as session:
        made = Batches(session)
        app = web.Application()
        app.router.add_post(PATH, made.send)
        app.router.add_get(PATH, made.find)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        made.port = int(runner.addresses[0][1])
        try:
            yield made
        finally:
            await runner.cleanup()
