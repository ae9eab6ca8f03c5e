"""A test leaves nothing running behind it."""

import asyncio
from typing import Any


async def assert_ended(before: "set[asyncio.Task[Any]]", *, within_s: float = 5.0) -> None:
    """Every task that is not in `before` ends within `within_s`, or is cancelled and named in an AssertionError."""
    left = {each for each in asyncio.all_tasks() - before - {asyncio.current_task()} if not _is_served(each)}
    if not left:
        return
    _, running = await asyncio.wait(left, timeout=within_s)
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=within_s)
    assert not running, f"the test left tasks running: {sorted(repr(task.get_coro()) for task in running)}"


def _is_served(task: "asyncio.Task[Any]") -> bool:
    """A connection that somebody else's process keeps open to a server of a larger scope, which ends it."""
    return getattr(task.get_coro(), "__qualname__", "") == "RequestHandler.start"
