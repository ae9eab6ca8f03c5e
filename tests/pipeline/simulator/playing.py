"""What calls the simulator as dispatch does, and what takes its receipts."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from msgspec import structs

from tests.contract.gateways import samples
from tests.support.carrier import Carriers
from tests.support.waiting import eventually
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request
from watchword.gateways.outcome import Outcome
from watchword.runtime.clock import WallClock

NUMBER = "+919876543210"
RECEIPT_SECRET = "simulated-receipts"
WITHIN_S = 20.0


def message(ref: str = "r-1", **fields: Any) -> Message:
    """A message with a code."""
    text, now = "493021 is your code", datetime.now(UTC)
    return structs.replace(Message(client_ref=ref, to=NUMBER, text=text, sender="SHOP", life_s=240, at=now), **fields)


class Receiver:
    """Takes receipts. `answers` are the statuses to give first; afterwards it gives 204."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[int] = deque()
        self.callbacks: list[Callback] = []

    async def take(self, request: web.Request) -> web.Response:
        """One callback."""
        callback = Callback(request.method, str(request.url), dict(request.headers), await request.read())
        status = self.answers.popleft() if self.answers else 204
        if status == 204:
            self.callbacks.append(callback)
        return web.Response(status=status)

    async def receipts(self, account: Account, count: int) -> list[Receipt]:
        """All receipts, each callback verified, once there are at least `count`."""

        async def enough() -> list[Receipt]:
            gateway, now = GATEWAYS[account.gateway], WallClock().now()
            assert all(gateway.verify(callback, account, now) for callback in self.callbacks)
            told = [receipt for callback in self.callbacks for receipt in gateway.receipts(callback, account)]
            return told if len(told) >= count else []

        return await eventually(enough, within_s=WITHIN_S, what=f"{count} receipts")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/receipts", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/receipts"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def echo(carriers: Carriers, carrier: str = "north") -> Account:
    """An echo account at a carrier."""
    secrets = {"token": "t", "callback": RECEIPT_SECRET}
    return Account(id=carrier, gateway="echo", url=f"{carriers.url}/carriers/{carrier}", secrets=secrets)


def form(carriers: Carriers, carrier: str = "north") -> Account:
    """The recorded form account of the template gateway, at a carrier's /blind."""
    recorded = next(account for _, account in samples.accounts() if account.id == "form")
    return replace(
        recorded,
        url=f"{carriers.url}/carriers/{carrier}",
        options={**recorded.options, "path": "/blind"},
        secrets={"key": "k", "callback": RECEIPT_SECRET},
    )


async def called(session: aiohttp.ClientSession, request: Request) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    call = session.request(request.method, request.url, data=request.body, headers=request.headers)
    async with call as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def send(session: aiohttp.ClientSession, account: Account, one: Message) -> Outcome:
    """Send a message the way dispatch does."""
    gateway = GATEWAYS[account.gateway]
    status, headers, body = await called(session, gateway.encode(one, account))
    return gateway.decode(status, headers, body, account)
