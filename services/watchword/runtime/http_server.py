"""Sockets for a door: aiohttp's low-level server with limits on time and size, and no word about itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, http_exceptions, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_protocol import RequestHandler

from watchword.runtime.accepting import Acceptor
from watchword.runtime.problems import Problem
from watchword.runtime.tls import Tls

LINGER_S = 1.0
LINE_MAX = FIELD_MAX = 8_190
HEADERS_MAX = 64
BUFFER_BYTES = 32 * 1024
_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}" for each in HTTPStatus}
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a door waits for, in seconds, and how much it does at once.

    `idle_s` is how long a connection may be silent between requests, and how long it may take to send headers.
    `read_s` is for a body, `handle_s` for a handler, `write_s` for a caller to take its answer, `drain_s` for what is
    in flight at a stop.
    """

    idle_s: float = 15.0
    read_s: float = 10.0
    write_s: float = 15.0
    handle_s: float = 15.0
    drain_s: float = 15.0
    inflight_max: int = 4_000


@dataclass(slots=True)
class Reply:
    """An answer as it goes out. `headers` are all but its length, its date and `Connection`; `keep_alive` says whether
    the connection may be used again."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool = True

    def encoded(self) -> bytes:
        """The whole answer, byte for byte what the library makes of it. Raises ValueError for a header that would not
        stay on its line."""
        if not "".join(self.headers.values()).isprintable():
            raise ValueError("a header holds what cannot be printed")
        lines = [_LINES[self.status], *[f"{name}: {value}" for name, value in self.headers.items()]]
        lines += (f"Content-Length: {len(self.body)}", f"Date: {rfc822_formatted_time()}")
        if not self.keep_alive:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "\r\n")).encode() + self.body

    def for_the_library(self) -> web.Response:
        """The same, for the library to send."""
        response = web.Response(status=self.status, headers=self.headers, body=self.body)
        if not self.keep_alive:
            response.force_close()
        return response


Serve = Callable[[web.BaseRequest], Awaitable[Reply]]


class _Request(web.BaseRequest):
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.pop("Server", None)


class _Connection(RequestHandler):
    """A connection whose bytes may not be HTTP at all: that too is answered with a problem. Whoever asks and does not
    take the answer is let go."""

    __slots__ = ("write_s",)
    write_s: float

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse | Reply, start_time: float | None
    ) -> tuple[Any, bool]:
        """Send the answer. What is not taken in time is thrown away: to close in good order would wait for it again."""
        transport = request.transport
        if isinstance(resp, Reply) and self._is_plain(request, resp):
            return resp, transport is None or transport.is_closing() or not await self._write(request, transport, resp)
        response = resp.for_the_library() if isinstance(resp, Reply) else resp
        try:
            async with asyncio.timeout(self.write_s):
                return await super().finish_response(request, response, start_time)
        except TimeoutError:
            if transport is not None:
                transport.abort()
            return response, True

    def _is_plain(self, request: web.BaseRequest, reply: Reply) -> bool:
        """Whether nothing has to be known of HTTP but how its newest plain answer is written, as nearly always."""
        return (
            request.version == HttpVersion11
            and request.method != "HEAD"
            and reply.status not in _BODILESS
            and not self._upgraded
        )

    async def _write(self, request: web.BaseRequest, transport: asyncio.Transport, reply: Reply) -> bool:
        """Whether the caller took the answer, or there is room for it until then."""
        reply.keep_alive = reply.keep_alive and request.keep_alive
        transport.write(reply.encoded())
        if not self.writing_paused:
            return True
        try:
            async with asyncio.timeout(self.write_s):
                await request.writer.drain()
        except ConnectionError:
            return False
        except TimeoutError:
            transport.abort()
            return False
        return True

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to bytes that could not be parsed. What they were is not repeated and not logged."""
        problem = Problem("header_too_large" if isinstance(exc, http_exceptions.LineTooLong) else "malformed_request")
        response = web.Response(status=problem.status, body=problem.body(), headers=problem.headers())
        response.force_close()
        return response


class _Server(web.Server):
    write_s: float

    def __call__(self) -> RequestHandler:
        made = _Connection(self, loop=self._loop, **self._kwargs)
        made.write_s = self.write_s
        return made


class _Site(web.BaseSite):
    """Where the runner looks for the sockets of a port."""

    def __init__(self, runner: web.ServerRunner, acceptor: Acceptor, *, host: str, port: int) -> None:
        super().__init__(runner)
        self._acceptor = acceptor
        self._address = (host, port)

    @property
    def name(self) -> str:
        """Its address."""
        return "{}:{}".format(*self._address)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await super().start()
        await self._acceptor.listen(*self._address)
        server: Any = self._acceptor
        self._server = server


class Listener:
    """One port. `serve` answers every request that is HTTP, and never raises."""

    def __init__(self, serve: Serve, *, host: str, port: int, tls: Tls | None, limits: Limits) -> None:
        self._limits = limits
        self._serve = serve
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the port is taken."""
        serve: Any = self._serve
        server = _Server(
            serve,
            request_factory=_request,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._limits.idle_s,
            lingering_time=LINGER_S,
            max_line_size=LINE_MAX,
            max_field_size=FIELD_MAX,
            max_headers=HEADERS_MAX,
            read_bufsize=BUFFER_BYTES,
        )
        server.write_s = self._limits.write_s
        self._runner = web.ServerRunner(server, shutdown_timeout=self._limits.drain_s)
        await self._runner.setup()
        context = self._tls.context if self._tls else None
        acceptor = Acceptor(server, tls=context, handshake_s=self._limits.idle_s)
        try:
            await _Site(self._runner, acceptor, host=self._host, port=self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Take no more connections, wait for what is in flight, close."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return _Request(message, payload, protocol, writer, task, task.get_loop())
