"""A platform's endpoint on this machine: it records what it is called with and answers as it was told."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.waiting import eventually

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Called:
    """One request as it came in, header names in small letters, at which second of the event loop's clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint answers; `hangs` is no answer before the receiver ends."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False


OK = Reply()
HANGS = Reply(hangs=True)


@dataclass
class Receiver:
    """`script` is answered first, in order, then `always`."""

    url: str = ""
    always: Reply = OK
    script: deque[Reply] = field(default_factory=deque)
    calls: list[Called] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ids(self) -> list[str]:
        """The webhook-id of every call."""
        return [call.headers["webhook-id"] for call in self.calls]

    async def called(self, times: int) -> list[Called]:
        """The first moment at which it was called `times` times."""

        async def enough() -> list[Called]:
            return self.calls if len(self.calls) >= times else []

        return await eventually(enough, within_s=PATIENCE_S, what=f"{times} calls to {self.url}")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        body = await request.read()
        now_s = asyncio.get_running_loop().time()
        self.calls.append(
            Called(request.path_qs, {name.lower(): value for name, value in request.headers.items()}, body, now_s)
        )
        reply = self.script.popleft() if self.script else self.always
        if reply.hangs:
            await self._over.wait()
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def end(self) -> None:
        """Let go of whoever waits for an answer."""
        self._over.set()


@asynccontextmanager
async def receiver(always: Reply = OK, *script: Reply, trust: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port; `trust` is its certificate if it is to speak TLS."""
    made = Receiver(always=always, script=deque(script))
    runner = web.ServerRunner(web.Server(made.answer, access_log=None), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust).start()
    port = runner.addresses[0][1]
    made.url = f"{'https' if trust else 'http'}://127.0.0.1:{port}/otp"
    try:
        yield made
    finally:
        made.end()
        await runner.cleanup()
