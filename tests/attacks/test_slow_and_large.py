"""Slow and large: connections that trickle, bodies that never end, answers that nobody reads. The long form, against
the real process with its real deadlines; the same in tenths of seconds: tests/contract/runtime/test_http_transport.py.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.attacks.adapter import Target
from tests.support.platform import fresh_number
from tests.support.waiting import paced

IDLE_S, READ_S = 15.0, 10.0
TRICKLING = 150
pytestmark = pytest.mark.attack


def head(target: Target, length: int) -> bytes:
    """The beginning of a start, whose body is to follow."""
    return (
        f"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def trickled(target: Target, sent: bytes, *, every_s: float, within_s: float) -> bytes:
    """Send byte by byte until the door answers or closes; answers what it said."""
    reader, writer = await target.connected()
    answer = asyncio.ensure_future(reader.read())
    try:
        async with asyncio.timeout(within_s):
            for byte in _bytes(sent):
                if answer.done():
                    break
                with suppress(ConnectionError):
                    writer.write(byte)
                    await writer.drain()
                await paced(every_s)
            return await answer
    finally:
        answer.cancel()
        writer.close()


def _bytes(sent: bytes) -> Iterator[bytes]:
    for at in range(len(sent)):
        yield sent[at : at + 1]


async def test_while_many_connections_trickle_a_user_is_verified_as_ever(target: Target) -> None:
    """Slowloris and a slow body at once: headers that never end, and bodies that never come whole."""
    slow_head = b"GET /v1/verifications HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 200
    slow_body = b'{"to":"' + b"9" * 200
    headers = [
        asyncio.ensure_future(trickled(target, slow_head, every_s=0.5, within_s=IDLE_S + 15)) for _ in range(TRICKLING)
    ]
    bodies = [
        asyncio.ensure_future(trickled(target, head(target, 4_000) + slow_body, every_s=0.02, within_s=READ_S + 30))
        for _ in range(20)
    ]
    number = fresh_number()
    identity, code = await asyncio.wait_for(target.issued(number), 10)
    assert (await target.check(identity, code)).word == "approved"
    assert set(await asyncio.gather(*headers)) == {b""}, "closed without a word"
    for told in await asyncio.gather(*bodies):
        assert b" 408 " in told.splitlines()[0] and b"request_timeout" in told


async def test_a_reader_who_never_reads_is_let_go(target: Target) -> None:
    """Thousands of answers asked for and none taken: the connection is not held for ever."""
    reader, writer = await target.connected()
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    try:
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(90):
                while True:
                    writer.write(request * 50)
                    await writer.drain()
                    await paced(0.05)
    finally:
        writer.transport.abort()
    assert not reader.at_eof() or reader.exception() is None


async def test_an_endless_stream_is_cut_off(target: Target) -> None:
    """Chunk after chunk of nothing: the answer is there at 16 KiB, and a moment later the door is closed."""
    reader, writer = await target.connected()
    writer.write(head(target, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
    answer = asyncio.ensure_future(reader.read(4_096))
    async with asyncio.timeout(20):
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"400\r\n" + b" " * 1_024 + b"\r\n")
                await writer.drain()
                await paced(0.001)
        told = await answer
    writer.transport.abort()
    assert b" 413 " in told.splitlines()[0]


async def test_deep_wide_and_long_bodies_cost_no_time(target: Target) -> None:
    """The worst of each kind in 16 KiB, a hundred times over, and a user in between."""
    kinds = [
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b'{"to":"' + b"\\u0061" * 2_600 + b'"}',
        b"{" + b",".join(b'"k%d":1' % number for number in range(1_500)) + b"}",
        b'{"to":' + b"9" * 16_000 + b"}",
        b'{"to":"' + b"\\" * 16_000,
        b'"' * 16_000,
        b'{"binding":{' + b",".join(b'"k%d":"v"' % number for number in range(1_000)) + b"}}",
        b"{" + b" " * 16_000 + b"}",
        b'{"to":1e99999}',
        b'{"to":"+' + b"1" * 250 + b'"}',
    ]
    loop = asyncio.get_running_loop()
    began = loop.time()
    told = await asyncio.gather(*(target.send("POST", "/v1/verifications", body) for body in kinds * 30))
    each_s = (loop.time() - began) / len(told)
    assert {answered.status for answered in told} <= {400, 413, 422}
    assert each_s < 0.05, f"{each_s:.3f} s for each of {len(told)}"
