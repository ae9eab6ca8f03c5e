"""One call to a gateway over real sockets: what it may have left behind, and what it never does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from watchword.dispatch.calling import ANSWER_BYTES_MAX, Caller, Gate, Reply, Silence
from watchword.gateways.contract import Request
from watchword.local.ports import free_ports

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@dataclass
class Server:
    """A server that reads requests with a body of four bytes or none, and answers each as told."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while head := await _head(reader):
                server.requests.append(head.split("\r\n")[0])
                if "content-length: 4" in head.lower():
                    await reader.readexactly(4)
                await answer(writer, len(server.requests))
        except ConnectionError:
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/messages"
    try:
        yield server
    finally:
        listening.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


async def well(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}")


async def hang_up(writer: asyncio.StreamWriter, _: int) -> None:
    writer.close()


async def say_nothing(_: asyncio.StreamWriter, __: int) -> None:
    return


@pytest_asyncio.fixture
async def caller() -> AsyncIterator[Caller]:
    made = Caller(4)
    yield made
    await made.close()


def request(url: str, method: str = "POST") -> Request:
    return Request(method, url, {"Content-Type": "text/plain"}, b"text")


def opened() -> Gate:
    return Gate(lambda: "")


async def test_an_answer_is_read(caller: Caller) -> None:
    async with serving(well) as server:
        answer = await caller.call(request(server.url), opened(), timeout_s=2)
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (202, b"{}")


async def test_connections_are_kept_open_between_calls(caller: Caller) -> None:
    async with serving(well) as server:
        for _ in range(3):
            await caller.call(request(server.url), opened(), timeout_s=2)
    assert (len(server.requests), server.connections) == (3, 1)


async def test_nobody_listening_means_that_nothing_left(caller: Caller) -> None:
    [port] = free_ports(1)
    answer = await caller.call(request(f"http://127.0.0.1:{port}/"), opened(), timeout_s=2)
    assert isinstance(answer, Silence) and not answer.may_have_left


@pytest.mark.parametrize("answer", [hang_up, say_nothing])
async def test_a_server_that_took_the_request_and_does_not_answer_may_have_sent_it(
    caller: Caller, answer: Answer
) -> None:
    async with serving(answer) as server:
        silence = await caller.call(request(server.url), opened(), timeout_s=0.2)
    assert isinstance(silence, Silence) and silence.may_have_left


async def test_an_answer_that_breaks_off_may_have_been_a_yes(caller: Caller) -> None:
    async def half(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    async with serving(half) as server:
        silence = await caller.call(request(server.url), opened(), timeout_s=2)
    assert isinstance(silence, Silence) and silence.may_have_left


async def test_a_closed_gate_lets_no_byte_through(caller: Caller) -> None:
    async with serving(well) as server:
        answer = await caller.call(request(server.url), Gate(lambda: "too_late"), timeout_s=2)
        assert answer == Silence(False, "too_late")
        assert (server.connections, server.requests) == (1, [])
        assert isinstance(await caller.call(request(server.url), opened(), timeout_s=2), Reply)


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_no_request_is_repeated_by_itself_when_a_kept_connection_breaks(caller: Caller, method: str) -> None:
    async def second_breaks(writer: asyncio.StreamWriter, number: int) -> None:
        await (well if number == 1 else hang_up)(writer, number)

    async with serving(second_breaks) as server:
        await caller.call(request(server.url, method), opened(), timeout_s=2)
        answer = await caller.call(request(server.url, method), opened(), timeout_s=2)
    assert isinstance(answer, Silence) and answer.may_have_left
    assert len(server.requests) == 2


async def test_what_a_carrier_says_after_its_answer_is_not_taken_for_the_answer_to_the_next_user(
    caller: Caller,
) -> None:
    lines: list[asyncio.StreamWriter] = []

    async def kept(writer: asyncio.StreamWriter, number: int) -> None:
        lines.append(writer)
        await well(writer, number)

    async with serving(kept) as server, serving(well) as other:
        await caller.call(request(server.url), opened(), timeout_s=2)
        lines[0].write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await caller.call(request(other.url), opened(), timeout_s=2)  # by then it has come
        answer = await caller.call(request(server.url), opened(), timeout_s=2)
    assert isinstance(answer, Reply) and answer.status == 202
    assert (len(server.requests), server.connections) == (2, 2)


async def test_an_answer_that_is_always_about_to_come_ends_with_the_timeout(caller: Caller) -> None:
    async def soon(writer: asyncio.StreamWriter, _: int) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(soon) as server:
        silence = await caller.call(request(server.url), opened(), timeout_s=0.2)
    assert silence == Silence(True, "TimeoutError")


async def test_no_redirect_is_followed(caller: Caller) -> None:
    async def elsewhere(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with serving(elsewhere) as server:
        answer = await caller.call(request(server.url), opened(), timeout_s=2)
    assert isinstance(answer, Reply) and answer.status == 302
    assert len(server.requests) == 1


async def test_an_endless_answer_is_cut_off(caller: Caller) -> None:
    async def endless(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * (ANSWER_BYTES_MAX * 2))

    async with serving(endless) as server:
        answer = await caller.call(request(server.url), opened(), timeout_s=2)
    assert isinstance(answer, Reply)
    assert len(answer.body) == ANSWER_BYTES_MAX + 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "//127.0.0.1/"])
async def test_only_http_is_spoken(caller: Caller, url: str) -> None:
    assert await caller.call(request(url), opened(), timeout_s=2) == Silence(False, "scheme_refused")
