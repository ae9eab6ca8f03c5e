"""Draining, proxies and TLS."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.contract.runtime.door_case import KEY, FixedConfiguration, Handlers, problem, talk
from tests.support.certificates import certificate
from watchword.runtime.access import networks
from watchword.runtime.clock import WallClock
from watchword.runtime.http import Door
from watchword.runtime.http_server import Limits, Reply
from watchword.runtime.metrics import Metrics
from watchword.runtime.problems import Problem
from watchword.runtime.settings import SettingsError
from watchword.runtime.tls import Tls


async def test_a_stop_finishes_what_is_in_flight_and_takes_no_more(door: Door, handlers: Handlers) -> None:
    async with aiohttp.ClientSession(door.url) as session:
        asked = asyncio.ensure_future(session.get("/wait"))
        await asyncio.wait_for(handlers.entered.wait(), 5)
        stopping = asyncio.ensure_future(door.stop())
        await asyncio.sleep(0)
        handlers.released.set()
        async with await asyncio.wait_for(asked, 5) as answer:
            assert (await answer.json())["id"] == "finished"
        await asyncio.wait_for(stopping, 5)
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get("/wait")


async def test_behind_a_trusted_proxy_the_client_is_the_one_it_names(handlers: Handlers) -> None:
    made = Door(host="127.0.0.1", port=0, metrics=Metrics(), trusted_proxies=networks(["127.0.0.0/8"]))
    made.mount(*handlers.routes(), configuration=FixedConfiguration(), clock=WallClock())
    await made.start()
    headers = {"Authorization": f"Bearer {KEY}", "X-Forwarded-For": "1.1.1.1, 198.51.100.1"}
    async with (
        aiohttp.ClientSession(made.url, headers=headers) as session,
        session.post("/v1/verifications", json={"to": "1"}) as answer,
    ):
        assert (await answer.json())["ip"] == "198.51.100.1"
    await made.stop()


@pytest.mark.parametrize("target", ["/v1/verifications/1", "/fail", "/nowhere", "/v1/verifications/1?limit=0", "/docs"])
async def test_an_answer_is_the_same_whether_we_write_it_or_the_library(
    door: Door, handlers: Handlers, target: str
) -> None:
    handlers.raising = Problem("cooldown", retry_after_s=7.2)

    async def told(connection: str) -> bytes:
        once = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n"
        last = once.replace("keep-alive", "close")
        return re.sub(rb"Date: [^\r]+ GMT", b"Date", await talk(door, (once + last).encode()))

    ours = await told("keep-alive")
    assert (
        ours.count(b"HTTP/1.1 ") == ours.count(b"\r\nDate\r\n") == 2 and ours.count(b"\r\nConnection: close\r\n") == 1
    )
    assert ours == await told("keep-alive, Upgrade\r\nUpgrade: websocket")


def test_a_header_that_would_begin_another_line_is_not_sent() -> None:
    with pytest.raises(ValueError, match="header"):
        Reply(200, {"X-Told": "a\r\nSet-Cookie: b"}, b"").encoded()


# TLS -------------------------------------------------------------------------------------------------------------


async def test_with_a_certificate_the_door_speaks_https_only(handlers: Handlers, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    made = Door(host="127.0.0.1", port=0, metrics=Metrics(), tls=Tls(cert, key))
    made.mount(*handlers.routes()[1:2])
    await made.start()
    trusting = ssl.create_default_context(cafile=cert)
    async with (
        aiohttp.ClientSession(made.url) as session,
        session.get("/v1/verifications/1", ssl=trusting) as answer,
    ):
        assert answer.status == 200 and "Strict-Transport-Security" in answer.headers
    await made.stop()
    assert made.url.startswith("https://")


async def test_a_door_that_would_speak_plaintext_to_the_network_refuses_to_start() -> None:
    with pytest.raises(SettingsError, match="plaintext"):
        Door(host="0.0.0.0", port=0, metrics=Metrics())


# Patience ---------------------------------------------------------------------------------------------------------

HASTY = Limits(idle_s=0.2, read_s=0.2, write_s=0.2, handle_s=0.2, drain_s=0.2, inflight_max=1)


@pytest_asyncio.fixture
async def hasty(handlers: Handlers) -> AsyncIterator[Door]:
    made = Door(host="127.0.0.1", port=0, metrics=Metrics(), limits=HASTY)
    made.mount(*handlers.routes(), configuration=FixedConfiguration(), clock=WallClock())
    await made.start()
    yield made
    handlers.released.set()
    await made.stop()


@pytest.mark.parametrize("sent", [b"", b"GET /wa", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow"])
async def test_a_connection_that_does_not_send_its_headers_is_closed(hasty: Door, sent: bytes) -> None:
    assert await talk(hasty, sent) == b""


async def test_a_body_that_does_not_arrive_is_408(hasty: Door) -> None:
    head = b"POST /receipts/alpha HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
    told = await talk(hasty, head)
    assert b" 408 " in told.splitlines()[0] and b"request_timeout" in told


async def test_a_caller_who_never_reads_his_answers_is_let_go(hasty: Door) -> None:
    host, port = hasty.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1_024)
    asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(asking)
                    await writer.drain()
                    await asyncio.sleep(0)
    finally:
        writer.transport.abort()


async def test_a_handler_that_takes_too_long_is_503(hasty: Door) -> None:
    async with aiohttp.ClientSession(hasty.url) as session, asyncio.timeout(5), session.get("/wait") as answer:
        await problem(answer, 503, "unavailable")


async def test_more_than_it_can_do_at_once_is_503_at_once(hasty: Door, handlers: Handlers) -> None:
    async with aiohttp.ClientSession(hasty.url) as session:
        first = asyncio.ensure_future(session.get("/wait"))
        await asyncio.wait_for(handlers.entered.wait(), 5)
        async with session.get("/v1/verifications/1") as answer:
            await problem(answer, 503, "overloaded")
        handlers.released.set()
        async with await first as answer:
            assert answer.status == 200


async def test_a_stop_does_not_wait_for_ever(handlers: Handlers) -> None:
    made = Door(host="127.0.0.1", port=0, metrics=Metrics(), limits=Limits(drain_s=0.2, handle_s=60))
    made.mount(*handlers.routes()[-2:-1])
    await made.start()
    async with aiohttp.ClientSession(made.url) as session:
        asked = asyncio.ensure_future(session.get("/wait"))
        await asyncio.wait_for(handlers.entered.wait(), 5)
        await asyncio.wait_for(made.stop(), 5)
        with pytest.raises(aiohttp.ClientError):
            await asked
