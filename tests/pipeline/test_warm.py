"""Processes that are born warm are processes like any other: their own log, environment, group and end."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.descendants import descendants, still_running
from tests.support.waiting import eventually
from watchword.local import warm
from watchword.local.process import Process, Program

# A worker that no server answers goes on trying for longer than any of these tests lasts.
STARTS_ONE_AND_WAITS = """
import sys
from pathlib import Path
from watchword.local import warm
from watchword.local.process import Process, Program
directory = Path(sys.argv[1])
words = ("simulator", "--port", "0")
process = Process(Program("one", (*warm.COMMAND, *words), directory / "log", directory, launch=warm.fork))
print(process.pid, flush=True)
process.ended_within(60)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are born warm on Linux only")


def program(directory: Path, *words: str, **settings: str) -> Program:
    return Program(
        "one",
        (*warm.COMMAND, *words),
        directory / "log",
        directory,
        environment={"PATH": os.environ["PATH"], **settings},
        launch=warm.fork,
        stop_within_s=5,
    )


def test_it_has_its_own_log_environment_and_exit_code(tmp_path: Path) -> None:
    right = Process(program(tmp_path, "config", "explain", WATCHWORD_OPS_PORT="9123"))
    assert right.ended_within(30) and right.exit_code == 0
    assert "9123" in right.log_tail() or "9123" in (tmp_path / "log").read_text("utf-8")
    wrong = Process(program(tmp_path, "config", "explain", WATCHWORD_OPS_PORT="eighty"))
    assert wrong.ended_within(30) and wrong.exit_code == 2
    assert "WATCHWORD_OPS_PORT" in wrong.log_tail()


def test_kill_reaches_it_and_it_alone(tmp_path: Path) -> None:
    first, second = (Process(program(tmp_path, "simulator", "--port", "0")) for _ in range(2))
    first.kill()
    assert first.exit_code == -signal.SIGKILL
    assert second.exit_code is None and not second.ended_within(0.01)
    second.stop()
    assert second.exit_code is not None


async def test_a_parent_killed_with_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS_ONE_AND_WAITS, str(tmp_path), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    try:
        pid = int(await asyncio.wait_for(parent.stdout.readline(), 60))
        everyone = {pid, *descendants(parent.pid)}
        assert len(everyone) >= 2, "the fork server and what it forked"
    finally:
        parent.kill()
        await asyncio.wait_for(parent.wait(), 10)

    async def all_gone() -> bool:
        return not still_running(everyone)

    await eventually(all_gone, within_s=10, what=f"the end of {everyone}")
