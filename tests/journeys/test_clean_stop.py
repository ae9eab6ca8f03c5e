"""`watchword up` on the broker from the wheel verifies a number and ends when it is told to. Whatever happens to it, it
leaves no process behind.

Ctrl-C on `make up` is run with the README's commands (tests/guide).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.carrier import CALL_TIMEOUT_S, Carriers
from tests.support.descendants import descendants, still_running
from tests.support.platform import Platform, Verified, fresh_number
from tests.support.waiting import eventually
from watchword.local.ports import free_ports

READY_WITHIN_S = 60.0
GONE_WITHIN_S = 30.0
PROCESSES_MIN = 9


@pytest.fixture
def directory(servers_directory: Path, tmp_path: Path) -> Path:
    """Where it keeps what it keeps."""
    return servers_directory / tmp_path.name


@pytest.fixture
def up(directory: Path, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`watchword up` on the broker from the wheel, in a session of its own as in a terminal."""
    [port] = free_ports(1)
    words = ("up", "--kafka", "wheel", "--directory", str(directory), "--http-port", str(port))
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "watchword", *words],
            env={name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(GONE_WITHIN_S)


async def verified(directory: Path) -> Verified:
    """One user of what was started there."""
    where, key = json.loads((directory / "ports.json").read_text("utf-8")), (directory / "api-key").read_text("ascii")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)) as session:
        carriers = Carriers(where["simulator"], session)
        return await Platform(session, api=where["api"], key=key, carriers=carriers).verify(fresh_number())


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
    ids=lambda number: number.name,
)
async def test_up_verifies_a_number_and_ends_with_everything_it_started(
    up: "subprocess.Popen[bytes]", directory: Path, tmp_path: Path, number: signal.Signals
) -> None:
    said = tmp_path / "up.log"

    async def ready() -> bool:
        assert up.poll() is None, said.read_text()
        return "Ctrl-C stops everything" in said.read_text()

    await eventually(ready, within_s=READY_WITHIN_S, what="`watchword up` to be ready")
    started = descendants(up.pid)
    assert len(started) >= PROCESSES_MIN, "broker, database, simulator and the workers"
    assert (await verified(directory)).result == "approved"
    up.send_signal(number)

    async def gone() -> bool:
        return up.poll() is not None and not still_running(started)

    try:
        await eventually(gone, within_s=GONE_WITHIN_S, what="everything to end")
    except AssertionError as late:
        raise AssertionError(f"{late}: {still_running(started)}") from None
    assert up.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert "Traceback" not in said.read_text()
