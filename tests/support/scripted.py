"""A carrier that takes every request whole and answers the bytes it was told, on a bare socket: as none should, too."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.waiting import paced
from watchword.local.ports import LOOPBACK

_AT_A_TIME_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing is a reset


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with: `said`, then `again` over and over for as long as somebody reads, each
    `pause_s` after the one before. Then the connection is closed, `reset`, or where the answer `stays` kept open: for
    the next request, or without end if nothing was said."""

    said: bytes = b""
    again: bytes = b""
    pause_s: float = 0.0
    stays: bool = False
    reset: bool = False


def http(
    body: bytes = b"",
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    length: int | None = None,
    more: str = "",
) -> bytes:
    """An HTTP answer; `length` is what it says of its body where that is not true, `more` are lines of its head."""
    told = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {told}\r\n{more}\r\n"
    return head.encode("latin-1") + body


@dataclass
class Scripted:
    """Answers are chosen by the first step of the path that is called, and counted by it. `written_bytes` is what an
    answer without end could be got rid of before nobody read any more."""

    answers: Mapping[str, Answer]
    url: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    written_bytes: Counter[str] = field(default_factory=Counter)
    _talks: "dict[asyncio.Task[None], asyncio.StreamWriter]" = field(default_factory=dict)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._talks[task] = writer
        writer.transport.set_write_buffer_limits(high=_AT_A_TIME_BYTES)
        try:
            while (name := await _request(reader)) and await self._answered(name, reader, writer):
                pass
        except ConnectionError:
            return
        finally:
            writer.close()
            del self._talks[task]

    async def _answered(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow on the connection."""
        self.calls[name] += 1
        answer = self.answers[name]
        writer.write(answer.said)
        while answer.again:
            writer.write(answer.again)
            await writer.drain()
            self.written_bytes[name] += len(answer.again)
            await paced(answer.pause_s)
        if answer.reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return answer.stays

    async def end(self) -> None:
        """Cut off whoever still waits for an answer."""
        for writer in self._talks.values():
            writer.transport.abort()
        await asyncio.gather(*self._talks)


async def _request(reader: asyncio.StreamReader) -> str:
    """Read one request; answers the first step of its path, "" where the connection has ended."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return ""
    lines = head.lower().split("\r\n")
    told = next((line for line in lines if line.startswith("content-length:")), "content-length: 0")
    await reader.readexactly(int(told.partition(":")[2]))
    return head.split(" ")[1].split("/")[1].partition("?")[0]


@asynccontextmanager
async def scripted(answers: Mapping[str, Answer]) -> AsyncIterator[Scripted]:
    """The carrier on a free port; an account of it calls at `{url}/{name of the answer}`."""
    made = Scripted(answers)
    listening = await asyncio.start_server(made.talk, LOOPBACK, 0)
    place = listening.sockets[0]
    place.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _AT_A_TIME_BYTES)  # what the kernel keeps counts as written
    made.url = f"http://{LOOPBACK}:{place.getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()
        await made.end()
