"""The real processes, for tests that kill them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson

from tests.support.waiting import eventually
from watchword.local.ports import LOOPBACK
from watchword.local.stack import LOOK_EVERY_S, Child, Plan, Stack
from watchword.operations.pages import read_pages

_lasting: dict[tuple[str, ...], Callable[[], None]] = {}


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Stack]:
    """A stack whose ended workers are started again, as `watchword up` does, until the context ends."""
    stack, end = await asyncio.to_thread(_begin, plan)
    try:
        yield stack
    finally:
        await asyncio.to_thread(end)


@asynccontextmanager
async def lasting(plan: Plan, *folders: str) -> AsyncIterator[Stack]:
    """A stack for every test below `folders`. It ends with the last of them, not with the run: doing nothing, it takes
    a fifth of a core from those that come after."""
    stack, end = await asyncio.to_thread(_begin, plan)
    _lasting[folders] = end
    try:
        yield stack
    finally:
        await asyncio.to_thread(_lasting.pop(folders, lambda: None))


def end_before(nodeid: str) -> None:
    """End the stacks that the test which comes next has no use for; "" is the end of the run."""
    for folders in [each for each in _lasting if not nodeid.startswith(each)]:
        _lasting.pop(folders)()


def _begin(plan: Plan) -> tuple[Stack, Callable[[], None]]:
    """A stack that is watched, and what ends it."""
    stack = Stack(plan)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            stack.watch()

    watcher = threading.Thread(target=watch, name="stack-watch")

    def end() -> None:
        """Nobody looks at it any more: without good-byes, which take their time. Those are a story of tests/guide."""
        over.set()
        watcher.join()
        for child in stack.children.values():
            child.process.kill()
        if not stack.plan.kafka_address:
            stack.broker.kill()
        stack.stop()

    try:
        stack.start()
    except BaseException:
        stack.stop()
        raise
    watcher.start()
    return stack, end


async def rows(stack: Stack, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """What the database says, as its owner."""
    connection = await asyncpg.connect(stack.dsn, timeout=10)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close(timeout=10)


async def at_rest(stack: Stack, *, within_s: float = 30.0) -> None:
    """Wait until nothing is left to be told and no attempt is under way. Asked over one connection, and so that an
    index answers, however much is stored."""
    connection = await asyncpg.connect(stack.dsn, timeout=10)

    async def quiet() -> bool:
        return not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM attempts WHERE state = 'queued') "
            "OR EXISTS (SELECT FROM attempts WHERE state = 'sending')"
        )

    try:
        await eventually(quiet, within_s=within_s, what="an empty outbox and no attempt under way")
    finally:
        await connection.close(timeout=10)


async def configured(stack: Stack, *, within_s: float = 10.0) -> None:
    """Wait until every process has taken the newest configuration up. Of two behind one port either may be asked."""
    [newest] = await rows(stack, "SELECT max(serial) AS serial FROM configuration")

    async def taken() -> bool:
        return all(_serial(child) >= newest["serial"] for child in stack.children.values() if not child.stopped)

    await eventually(taken, within_s=within_s, what="every process to have the newest configuration")


def _serial(child: Child) -> int:
    """Which configuration a process took up last, as its log tells."""
    lines = child.program.log.read_bytes().splitlines()
    told = [orjson.loads(line)["serial"] for line in lines if b'"configuration.taken"' in line]
    return int(told[-1]) if told else 0


async def killed(stack: Stack, name: str) -> None:
    """SIGKILL one worker; returns when another process of it is ready."""
    child = stack.children[name]
    restarts = child.restarts
    await asyncio.to_thread(stack.kill, name)

    async def back() -> bool:
        return child.restarts > restarts

    await eventually(back, within_s=40, what=f"{name} to be started again")
    await asyncio.to_thread(stack.await_ready, name)


async def killed_for_good(stack: Stack, name: str) -> None:
    """SIGKILL one worker process, and nobody starts it again."""
    stack.children[name].stopped = True
    await asyncio.to_thread(stack.kill, name)


async def drained(stack: Stack, name: str) -> int | None:
    """SIGTERM one worker process and leave it stopped; answers its exit code."""
    await asyncio.to_thread(stack.terminate, name)
    return stack.children[name].process.exit_code


async def values_of(child: Child, name: str, **labels: str) -> list[float]:
    """The samples of one metric on the page of one process, as it is now."""
    [page] = await read_pages([f"http://{LOOPBACK}:{child.ops_port}"])
    assert not page.problem, f"{child.name}: {page.problem}"
    return [sample.value for sample in page.of(name) if labels.items() <= sample.labels.items()]
