"""One worker as a process of its own, killed at a named point as by a power cut; the test plays its neighbours."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.commands import environment
from tests.support.pipeline import Pipeline

KILLED = 137
DIES_WITHIN_S = 45.0
ENDS_WITHIN_S = 10.0


@asynccontextmanager
async def alone(
    stand: Pipeline, worker: str, *, point: str = "", **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`watchword run WORKER` in a process of its own, with a trap at `point` if one is named; killed at the end if it
    still runs. `settings` are added to its environment."""
    told = {**environment(stand), "WATCHWORD_FAILPOINTS": f"{point}:1:kill" if point else "", **settings}
    run = f"from watchword.runtime import process, settings; process.run(settings.load_runtime(), {worker!r})"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", run, env=told, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), ENDS_WITHIN_S)


async def died(process: asyncio.subprocess.Process) -> int | None:
    """Its exit code once it has ended, None where it does not come to its point in time."""
    try:
        return await asyncio.wait_for(process.wait(), DIES_WITHIN_S)
    except TimeoutError:
        return None
