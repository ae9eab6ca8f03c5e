"""The proxy spoils connections as it is told, and only so."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.proxy import FAIR, Proxy, Weather
from tests.support.waiting import eventually

WAIT_S = 0.05


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say back what is said, until the other end goes."""
    try:
        while said := await reader.read(65_536):
            writer.write(said)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@asynccontextmanager
async def before_an_echo() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echoing, "127.0.0.1", 0)
    proxy = Proxy(0, server.sockets[0].getsockname()[:2])
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
        server.close()
        await server.wait_closed()


class Client:
    """A connection by way of the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    async def hears(self, length: int, *, within_s: float = 5.0) -> bytes:
        """What comes back. Raises TimeoutError, or IncompleteReadError or OSError at the end of the connection."""
        return await asyncio.wait_for(self._reader.readexactly(length), within_s)

    def close(self) -> None:
        self._writer.close()


async def connected(proxy: Proxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def test_in_fair_weather_everything_passes_and_nothing_is_left_open() -> None:
    async with before_an_echo() as proxy:
        client = await connected(proxy)
        text = random.Random(1).randbytes(1_000_000)
        client.say(text)
        assert await client.hears(len(text)) == text
        client.close()

        async def closed() -> bool:
            return proxy.open == 0

        await eventually(closed, within_s=5, what="the proxy to let go")


@pytest.mark.parametrize("weather", [Weather(there=False), Weather(back=False)])
async def test_what_was_swallowed_one_way_arrives_when_the_way_is_free(weather: Weather) -> None:
    async with before_an_echo() as proxy:
        client = await connected(proxy)
        proxy.change(weather)
        client.say(b"hello")
        with pytest.raises(TimeoutError):
            await client.hears(5, within_s=WAIT_S)
        proxy.change(FAIR)
        assert await client.hears(5) == b"hello"
        client.close()


async def test_latency_keeps_the_order() -> None:
    async with before_an_echo() as proxy:
        proxy.change(Weather(latency_ms=20))
        client = await connected(proxy)
        began = asyncio.get_running_loop().time()
        for number in range(50):
            client.say(b"%02d" % number)
        assert await client.hears(100) == b"".join(b"%02d" % number for number in range(50))
        assert asyncio.get_running_loop().time() - began >= 0.04, "there and back"
        client.close()


async def test_a_forgotten_connection_is_silent_until_it_is_cut() -> None:
    async with before_an_echo() as proxy:
        client = await connected(proxy)
        client.say(b"x")
        await client.hears(1)
        assert proxy.forget() == 1
        client.say(b"hello")
        with pytest.raises(TimeoutError):
            await client.hears(5, within_s=WAIT_S)
        proxy.change(FAIR)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await client.hears(5)
        client.close()


async def test_a_cut_connection_ends_and_new_ones_are_refused_while_told_so() -> None:
    async with before_an_echo() as proxy:
        first = await connected(proxy)
        first.say(b"x")
        await first.hears(1)
        assert proxy.cut() == 1
        proxy.change(Weather(takes=False))
        second = await connected(proxy)
        for client in (first, second):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await client.hears(1)
            client.close()
