"""One HTTP call to a gateway, and the one question that matters if it fails: can the request have left?"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from watchword.gateways.contract import Request

CONNECT_TIMEOUT_S: Final = 2.0
KEEPALIVE_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 65_536
_HEADERS = {"User-Agent": "watchword", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered. The body is cut one byte past the limit, so that a gateway sees it is too long."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer that could be read. `may_have_left` tells whether the request was being written; `word` why."""

    may_have_left: bool
    word: str


class Refused(Exception):
    """The gate let the request not through."""


class Gate:
    """Stands between a connection that is ready and the first byte on it.

    `refusal` is asked at that moment and answers "" or why not; a second passage is refused always, for HTTP
    clients repeat some requests by themselves. `passed_s` is when it let one through, on the monotonic clock.
    """

    def __init__(self, refusal: Callable[[], str]) -> None:
        self._refusal = refusal
        self.passed_s: float | None = None
        self.word = ""

    @property
    def passed(self) -> bool:
        """Whether the request was let through: from then on it may have left."""
        return self.passed_s is not None

    def pass_once(self) -> None:
        """Let the request through. Raises Refused."""
        self.word = "written_already" if self.passed else self._refusal()
        if self.word:
            raise Refused(self.word)
        self.passed_s = time.monotonic()


_gate: ContextVar[Gate] = ContextVar("gate")


class _GatedConnector(aiohttp.TCPConnector):
    """Hands out a connection only through the gate of the call that asks for it, and none on which something was said
    since its last call: the client would take that for the answer to the next one, which is somebody else's."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit, keepalive_timeout=KEEPALIVE_S)
        self._called_before: WeakSet[object] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: "Sequence[Any]", timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)  # type: ignore[arg-type]  # a list in the stubs
        while self._was_spoken_on(connection):
            connection.close()
            connection = await super().connect(req, traces, timeout)  # type: ignore[arg-type]
        self._called_before.add(connection.protocol)
        try:
            _gate.get().pass_once()
        except Refused:
            connection.close()
            raise
        return connection

    def _was_spoken_on(self, connection: Connection) -> bool:
        protocol = connection.protocol
        return protocol in self._called_before and protocol is not None and protocol.should_close


class Caller:
    """The HTTP connections of one account, kept open between calls; no more than `calls_max` at a time."""

    def __init__(self, calls_max: int) -> None:
        """Must be made while the event loop runs."""
        self._session = aiohttp.ClientSession(
            connector=_GatedConnector(limit=calls_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def call(self, request: Request, gate: Gate, *, timeout_s: float) -> Reply | Silence:
        """Make `request`, follow no redirect, and read what comes back within `timeout_s`. Never raises for what a
        network or a server does."""
        url = URL(request.url, encoded=True)
        if url.scheme not in ("http", "https"):
            return Silence(False, "scheme_refused")
        _gate.set(gate)
        try:
            return await self._exchange(request, url, timeout_s)
        except (aiohttp.ClientError, Refused, TimeoutError, OSError, ValueError) as error:
            # A header that cannot be written raises ValueError, before the gate.
            return Silence(gate.passed, gate.word or type(error).__name__)

    async def _exchange(self, request: Request, url: URL, timeout_s: float) -> Reply:
        timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s), sock_connect=CONNECT_TIMEOUT_S
        )
        async with self._session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            return Reply(response.status, dict(response.headers), await _body(response))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) <= ANSWER_BYTES_MAX:
        chunk = await response.content.read(ANSWER_BYTES_MAX + 1 - len(body))
        if not chunk:
            break
        body += chunk
    return bytes(body)
