"""One HTTP call to a gateway, and the one question that matters if it fails: can the request have left?"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final
from weakref import WeakSet

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from watchword.gateways.contract import Request

CONNECT_TIMEOUT_S: Final = 2.0
KEEPALIVE_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 65_536
_HEADERS = {"User-Agent": "watchword", "Accept": "*/*", "Accept-Encoding": "identity"}
_TIMEOUT = aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)


class Reply(msgspec.Struct, frozen=True):
    """What the gateway answered. The body is cut one byte past the limit, so that a gateway sees it is too long."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status}>"


class Silence(msgspec.Struct, frozen=True):
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


class Caller:
    """The HTTP connections of one account, kept open between calls; no more than `calls_max` at a time.

    Connections are aiohttp's, made, pooled and parsed by it. Its session is left out: what that looks at for cookies,
    redirects, proxies, traces and repeats takes longer than the call, and a gateway's call has none of them.
    """

    def __init__(self, calls_max: int) -> None:
        """Must be made while the event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._connector = aiohttp.TCPConnector(limit=calls_max, keepalive_timeout=KEEPALIVE_S)
        self._called_before: WeakSet[object] = WeakSet()
        self._way: aiohttp.ClientRequest | None = None

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()

    async def call(self, request: Request, gate: Gate, *, timeout_s: float) -> Reply | Silence:
        """Make `request`, follow no redirect, and read what comes back within `timeout_s`. Never raises for what a
        network or a server does."""
        url = URL(request.url, encoded=True)
        if url.scheme not in ("http", "https"):
            return Silence(False, "scheme_refused")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request, url, gate)
        except HttpProcessingError:
            return Silence(gate.passed, "ClientResponseError")
        except (aiohttp.ClientError, Refused, TimeoutError, OSError, ValueError) as error:
            # What raises ValueError is a header that cannot be written.
            return Silence(gate.passed, gate.word or type(error).__name__)

    async def _exchange(self, request: Request, url: URL, gate: Gate) -> Reply:
        headers = _headers(request, url)
        connection = await self._connected(url)
        try:
            protocol = connection.protocol
            assert protocol is not None
            gate.pass_once()
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            writer = StreamWriter(protocol, self._loop)
            await writer.write_headers(f"{request.method} {url.raw_path_qs} HTTP/1.1", headers)
            await writer.write_eof(request.body)  # the head is kept back until now, so that they leave together
            reply = await _reply(protocol)
        except BaseException:
            connection.close()
            raise
        connection.release()
        return reply

    async def _connected(self, url: URL) -> Connection:
        """A connection on which nothing was said since its last call: that would be taken for the answer to the next
        one, which is somebody else's."""
        way = self._way_to(url)
        connection = await self._connect(way)
        while self._was_spoken_on(connection):
            connection.close()
            connection = await self._connect(way)
        self._called_before.add(connection.protocol)
        return connection

    async def _connect(self, way: aiohttp.ClientRequest) -> Connection:
        try:
            return await self._connector.connect(way, [], _TIMEOUT)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    def _was_spoken_on(self, connection: Connection) -> bool:
        protocol = connection.protocol
        return protocol is not None and protocol in self._called_before and protocol.should_close

    def _way_to(self, url: URL) -> aiohttp.ClientRequest:
        """What the pool knows connections by, the same for every call of one origin."""
        if self._way is None or self._way.url != url.origin():
            self._way = aiohttp.ClientRequest("GET", url.origin(), loop=self._loop)
        return self._way


def _headers(request: Request, url: URL) -> CIMultiDict[str]:
    headers = CIMultiDict({"Host": url.host_port_subcomponent or "", **_HEADERS})
    headers.update(request.headers)
    if request.body or request.method != "GET":
        headers["Content-Length"] = str(len(request.body))
        headers.setdefault("Content-Type", "application/octet-stream")
    return headers


async def _reply(protocol: ResponseHandler) -> Reply:
    """What is answered, after whatever is said on the way to it."""
    message, content = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:
        message, content = await protocol.read()
    return Reply(message.code, dict(message.headers), await _body(content))


async def _body(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    while len(body) <= ANSWER_BYTES_MAX and not content.at_eof():
        body += await content.read(ANSWER_BYTES_MAX + 1 - len(body))
    return bytes(body)
