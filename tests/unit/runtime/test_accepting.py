"""Whoever comes on a new connection is taken in, however long the turns of the loop are."""

import asyncio
import os
import resource
import socket
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from typing import Any

import uvloop

from tests.support.waiting import eventually
from watchword.runtime.accepting import Acceptor

MANY = 60
FEW_TURNS = 10


class Greeting(asyncio.Protocol):
    """Says one byte and hangs up."""

    def connection_made(self, transport: Any) -> None:
        """Taken in."""
        transport.write(b"!")
        transport.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """On the loop that workers run on: the standard library's takes many at a time by itself."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _listening(taken: list[Greeting]) -> tuple[Acceptor, int]:
    def made() -> Greeting:
        taken.append(Greeting())
        return taken[-1]

    acceptor = Acceptor(made, tls=None, handshake_s=1.0)
    await acceptor.listen("127.0.0.1", 0)
    return acceptor, acceptor.sockets[0].getsockname()[1]


def test_new_connections_did_not_wait_one_turn_each_behind_those_that_are_served() -> None:
    async def story() -> None:
        taken: list[Greeting] = []
        acceptor, port = await _listening(taken)
        with ExitStack() as open_:
            for _ in range(MANY):
                open_.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            turns = 0
            while len(taken) < MANY and turns < MANY:
                await asyncio.sleep(0)
                turns += 1
        acceptor.close()
        assert len(taken) == MANY
        assert turns <= FEW_TURNS

    _run(story())


def test_who_comes_while_no_more_files_may_be_open_is_taken_in_once_they_may() -> None:
    async def story() -> None:
        taken: list[Greeting] = []
        acceptor, port = await _listening(taken)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
            held: list[int] = []
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (caller.fileno() + 1, hard))
                with suppress(OSError):
                    while True:  # whatever was closed below it since
                        held.append(os.dup(caller.fileno()))
                for _ in range(FEW_TURNS):
                    await asyncio.sleep(0)
                assert not taken
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for each in held:
                    os.close(each)
            await eventually(lambda: _one(taken), within_s=5, what="the caller to be taken in")
            assert await asyncio.to_thread(caller.recv, 1) == b"!"
        acceptor.close()

    _run(story())


async def _one(taken: list[Greeting]) -> bool:
    return len(taken) == 1


def test_nobody_is_taken_after_the_end() -> None:
    async def story() -> None:
        acceptor, port = await _listening([])
        acceptor.close()
        with socket.socket() as caller:
            assert caller.connect_ex(("127.0.0.1", port)) != 0

    _run(story())
