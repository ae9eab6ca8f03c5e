"""Peers that others wrote: where they are installed, and how they are run. `.ci/interop-peers` installs them."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".cache" / "interop"
PYTHON = INSTALLED / "venv" / "bin" / "python"
FIX = "run .ci/interop-peers"
LISTENS_WITHIN_S = 20.0


def needs(found: bool, what: str) -> pytest.MarkDecorator:
    """A mark that skips where a peer is not installed, and says so."""
    return pytest.mark.skipif(not found, reason=f"NOT PROVEN: {what} is not installed; {FIX}")


def has_program(*names: str) -> bool:
    """Whether every one of these is on the path."""
    return all(shutil.which(name) for name in names)


def has_perl_module(name: str) -> bool:
    """Whether Perl finds a module."""
    return (
        has_program("perl")
        and subprocess.run(["perl", f"-M{name}", "-e1"], capture_output=True, timeout=20).returncode == 0
    )


def has_npm_package(name: str) -> bool:
    """Whether Node is there and the package installed."""
    return has_program("node") and (INSTALLED / "node_modules" / name).is_dir()


def has_python_package(name: str) -> bool:
    """Whether the peers' own Python has a package."""
    return bool(list(INSTALLED.glob(f"venv/lib/python3*/site-packages/{name}")))


class Peer:
    """A running peer and the lines it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 10)
        await asyncio.wait_for(self._reading, 10)


@asynccontextmanager
async def running(*command: str, environment: dict[str, str] | None = None) -> AsyncIterator[Peer]:
    """A peer while it runs."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    peer = Peer(process)
    try:
        yield peer
    finally:
        await peer.stop()


async def output_of(*command: str, stdin: bytes = b"", within_s: float = 30.0) -> str:
    """What a command prints. Fails the test where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await asyncio.wait_for(process.communicate(stdin), within_s)
    assert process.returncode == 0, f"{command[0]}: {complaint.decode('utf-8', 'replace')[-2_000:]}"
    return out.decode("utf-8", "replace")


def among(lines: Sequence[str], word: str) -> list[str]:
    """The lines that hold a word."""
    return [line for line in lines if word in line]
