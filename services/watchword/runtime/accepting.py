"""Connections are taken as they come, many at a time.

The event loop's own server takes one connection in a turn (libuv's accept). Where a turn takes a quarter of a second,
for a thousand requests are answered in it, whoever comes on a new connection stands in line for seconds behind those
who are on old ones, and hears neither yes nor no.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from ssl import SSLContext

import structlog

log = structlog.get_logger()

# Connections that wait to be taken; Linux's own bound (somaxconn) is as much. Whoever comes when all are full is not
# told: he asks again after one second, after three, after seven.
BACKLOG = 4_096
AT_ONCE_MAX = 256  # then those are served that were taken
AGAIN_AFTER_S = 0.5
# What says that this process or machine holds as many files or as much memory as it may: it may hold less soon.
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Listening sockets. What it offers is what an `asyncio.Server` offers to aiohttp: `sockets` and `close`."""

    def __init__(
        self, protocol: Callable[[], asyncio.BaseProtocol], *, tls: SSLContext | None, handshake_s: float
    ) -> None:
        self._protocol = protocol
        self._tls = tls
        self._handshake_s = handshake_s if tls is not None else None
        self._beginning: set[asyncio.Task[None]] = set()
        self.sockets: list[socket.socket] = []

    async def listen(self, host: str, port: int) -> None:
        """Listen on every address of `host`, "" for all of this machine's. Raises OSError if one cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                listening = socket.create_server(address, family=family, backlog=BACKLOG)
                listening.setblocking(False)
                self.sockets.append(listening)
        except OSError:
            self.close()
            raise
        for each in self.sockets:
            loop.add_reader(each, self._take, each)

    def close(self) -> None:
        """Take no more."""
        loop = asyncio.get_running_loop()
        for each in self.sockets:
            loop.remove_reader(each)
            each.close()
        self.sockets = []
        for begun in self._beginning:
            begun.cancel()

    def _take(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE_MAX):
            try:
                taken, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            begun = asyncio.get_running_loop().create_task(self._begin(taken))
            self._beginning.add(begun)
            begun.add_done_callback(self._beginning.discard)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Nothing is taken for a moment: the loop would ask again at once."""
        if error.errno not in _FULL:
            raise error
        log.warning("http.connections_left_waiting", error=errno.errorcode[error.errno])
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(AGAIN_AFTER_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            asyncio.get_running_loop().add_reader(listening, self._take, listening)

    async def _begin(self, taken: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._protocol, taken, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
            )
        except OSError:  # gone again, or no TLS; SSLError and TimeoutError are of this kind
            taken.close()
