"""A TCP proxy that does to connections what networks do: cuts them, holds them up, swallows one way, forgets one end.

`Proxy(port)` listens on loopback and hands everything on to `target`. What it does meanwhile is its `weather`, which
may change at any time; what is under way is held to the new one at once.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol, cast

from watchword.local.ports import LOOPBACK

CONNECT_WITHIN_S = 5.0
BUFFER_BYTES_MAX = 256 * 1024


class Draw(Protocol):
    """The part of random.Random that is used."""

    def random(self) -> float:
        """A number from 0 to below 1."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bytes fare. `latency_ms` is added to each of them, both ways; without `there` nothing reaches the server,
    without `back` nothing reaches the client, and what was said meanwhile arrives once the way is free again, as TCP
    would send it again; without `takes` new connections are refused."""

    latency_ms: float = 0.0
    there: bool = True
    back: bool = True
    takes: bool = True


FAIR = Weather()


class Proxy:
    """One listening port before one server. `target` may be told later than `start`: whoever comes before is cut."""

    def __init__(self, port: int, target: tuple[str, int] | None = None) -> None:
        self.port = port
        self.target = target
        self._weather = FAIR
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    @property
    def weather(self) -> Weather:
        """How bytes fare just now."""
        return self._weather

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._links)

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Link(self).client, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more connections and cut those there are."""
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._server is not None:
            await self._server.wait_closed()

    def change(self, weather: Weather) -> None:
        """From now on bytes fare like this. Connections whose server forgot them are cut."""
        self._weather = weather
        for link in list(self._links):
            if link.is_forgotten:
                link.cut()
            else:
                link.look()

    def cut(self, share: float = 1.0, draw: Draw | None = None) -> int:
        """Reset this share of the connections, as a router that was restarted would; answers how many."""
        chosen = [link for link in list(self._links) if draw is None or draw.random() < share]
        for link in chosen:
            link.cut()
        return len(chosen)

    def forget(self) -> int:
        """Have the server's end of every connection go without a word to the client: half-open, until `change`."""
        links = list(self._links)
        for link in links:
            link.forget()
        return len(links)

    def opened(self, link: "_Link") -> None:
        """A connection came."""
        self._links.add(link)

    def closed(self, link: "_Link") -> None:
        """A connection is over."""
        self._links.discard(link)


class _Side(asyncio.Protocol):
    """One end of a connection; `queue` is what waits to be written to the other one, None for its end."""

    def __init__(self, link: "_Link") -> None:
        self.link = link
        self.transport: asyncio.Transport | None = None
        self.queue: deque[tuple[float, bytes | None]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.is_full = False
        self.is_reading = True
        self.is_made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is one, and says so nowhere
        self.is_made = True
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        self.link.made(self)

    def data_received(self, data: bytes) -> None:
        self.link.carry(self, data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.link.lost(self)

    def pause_writing(self) -> None:
        self.is_full = True
        self.link.look()

    def resume_writing(self) -> None:
        self.is_full = False
        self.link.look()

    def read(self, wanted: bool) -> None:
        """Take what comes, or leave it to the kernel's buffers."""
        if self.transport is None or wanted == self.is_reading or self.transport.is_closing():
            return
        self.is_reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()


class _Link:
    """A client, the server it believes to speak to, and what is between them."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[None] | None = None
        self.client = _Side(self)
        self.server = _Side(self)
        self.is_forgotten = False

    def made(self, side: _Side) -> None:
        """One end is there. The client's calls for the server's."""
        if side is self.client:
            if not self._proxy.weather.takes:
                self.cut()
                return
            self._proxy.opened(self)
            self._connecting = asyncio.create_task(self._connect())
        self.look()

    async def _connect(self) -> None:
        if self._proxy.target is None:
            self.cut()
            return
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await self._loop.create_connection(lambda: self.server, *self._proxy.target)
        except (OSError, TimeoutError):
            self.cut()

    def look(self) -> None:
        """Read from either end only what may be carried and finds room."""
        weather = self._proxy.weather
        both = self.client.transport is not None and self.server.transport is not None
        self.client.read(both and weather.there and not self.server.is_full)
        self.server.read(both and weather.back and not self.client.is_full)
        if weather.there:
            self._flush(self.client)
        if weather.back:
            self._flush(self.server)

    def carry(self, side: _Side, data: bytes) -> None:
        """Hand on what came in, each byte after those before it."""
        due_s = self._loop.time() + self._proxy.weather.latency_ms / 1_000
        side.queue.append((max(due_s, side.queue[-1][0]) if side.queue else due_s, data))
        self._flush(side)

    def lost(self, side: _Side) -> None:
        """One end is gone: what it said last still arrives, then the other end goes too."""
        if self.is_forgotten:
            if side is self.client:
                self._proxy.closed(self)
            return
        side.queue.append((side.queue[-1][0] if side.queue else 0.0, None))
        self._flush(side)

    def cut(self) -> None:
        """Reset both ends."""
        if self._connecting is not None:
            self._connecting.cancel()
        for side in (self.client, self.server):
            if side.timer is not None:
                side.timer.cancel()
            side.queue.clear()
            if side.transport is not None:
                side.transport.abort()
        self._proxy.closed(self)

    def forget(self) -> None:
        """The server goes; the client is not told."""
        self.is_forgotten = True
        self.client.read(False)
        self.server.queue.clear()
        if self.server.transport is not None:
            self.server.transport.abort()

    def _flush(self, side: _Side) -> None:
        """Write what is due, and come again for the rest."""
        other = self.server if side is self.client else self.client
        passes = self._proxy.weather.there if side is self.client else self._proxy.weather.back
        while side.queue and passes and other.is_made and not self.is_forgotten:
            due_s, data = side.queue[0]
            if due_s > self._loop.time():
                self._come_again(side, due_s)
                return
            side.queue.popleft()
            if data is None:
                self._end(other)
            elif other.transport is not None:
                other.transport.write(data)

    def _come_again(self, side: _Side, due_s: float) -> None:
        if side.timer is not None:
            side.timer.cancel()
        side.timer = self._loop.call_at(due_s, self._flush, side)

    def _end(self, other: _Side) -> None:
        if other.transport is not None:
            other.transport.close()
        self._proxy.closed(self)
