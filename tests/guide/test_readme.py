"""Every command of the README is run, word for word, in the order in which a reader comes to it.

A block that is neither run nor named here as one that is not fails a test.
"""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.carrier import carriers_at
from tests.support.descendants import descendants, still_running
from tests.support.waiting import eventually
from watchword.local.ports import free_ports

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PORT = 8080
RUN_WITHIN_S = 110.0
READY_WITHIN_S = 90.0
GONE_WITHIN_S = 40.0
PROCESSES_MIN = 9

# Run by a test of its own; `make test` is the run that this is part of.
ALONE = ("make demo", "make test", "make up")
NOT_COMMANDS = ("",)  # pictures

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"As `(\w+\.py)`:\n*\Z")
_MAKE = re.compile(r"make ([a-z][a-z-]*)")


@dataclass(frozen=True)
class Block:
    """One fenced block. `file` is the name that the sentence before it gives it, "" for none."""

    language: str
    text: str
    file: str


def blocks() -> list[Block]:
    """The README's blocks in order."""
    return [
        Block(found[1], found[2].strip("\n"), named[1] if (named := _NAMED.search(README[: found.start()])) else "")
        for found in _FENCE.finditer(README)
    ]


def commands() -> list[Block]:
    """Those of them that a reader types or saves."""
    return [block for block in blocks() if block.language not in NOT_COMMANDS]


def after_up() -> list[Block]:
    """What is typed while `make up` runs."""
    told = commands()
    return told[[block.text for block in told].index("make up") + 1 :]


def test_every_block_is_run_or_excused() -> None:
    assert {block.language for block in blocks()} <= {"sh", "python", *NOT_COMMANDS}
    before = [block.text for block in commands()][: -len(after_up())]
    assert [text for text in before if text not in ALONE] == []
    assert [block.text for block in after_up() if block.language == "python" and not block.file] == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = sorted(set(_MAKE.findall(README)))
    assert {"demo", "test", "up"} <= set(targets)
    for target in targets:
        ended = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 0, ended.stderr


@pytest.fixture
def checkout(servers_directory: Path, tmp_path: Path) -> Path:
    """A directory with everything that the repository has at its top, so that what a command writes stays out."""
    directory = servers_directory / f"checkout-{tmp_path.name}"
    directory.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in (".watchword", ".git"):
            (directory / entry.name).symlink_to(entry)
    return directory


def reader() -> Mapping[str, str]:
    """The environment of somebody who has just opened a terminal."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WATCHWORD_", "MAKE", "MFLAGS", "ARGS"))
    }


@contextmanager
def typed(command: str, checkout: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that runs in a terminal of its own, what it says in `said`; interrupted if it still runs in the end."""
    with (checkout / "said").open("wb") as said:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=checkout, env=reader(), stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(GONE_WITHIN_S)


def said_in(checkout: Path) -> str:
    """What the command has said so far."""
    return (checkout / "said").read_text("utf-8", "replace")


DEMO_ON_THE_WHEEL = 'make demo ARGS="--kafka wheel"'  # in short: journeys/test_clean_stop.py


@pytest.mark.parametrize("command", ["make demo", pytest.param(DEMO_ON_THE_WHEEL, marks=pytest.mark.slow)])
async def test_demo_tells_its_story_and_leaves_nothing(checkout: Path, command: str) -> None:
    assert f"{command}\n" in README or f"`{command}`" in README
    seen: set[int] = set()
    with typed(command, checkout) as process:

        async def ended() -> bool:
            seen.update(descendants(process.pid))
            return process.poll() is not None

        await eventually(ended, within_s=RUN_WITHIN_S, what=command)
    told = said_in(checkout)
    assert process.returncode == 0, told[-3000:]
    assert "All as told" in told
    assert len(seen) >= PROCESSES_MIN and still_running(seen) == {}


async def test_the_first_request_is_made_as_the_readme_says_and_ctrl_c_leaves_nothing(checkout: Path) -> None:
    port = PORT if is_free(PORT) else free_ports(1)[0]
    command = "make up" if port == PORT else f'make up ARGS="--http-port {port}"'
    with typed(command, checkout) as process:

        async def ready() -> bool:
            assert process.poll() is None, said_in(checkout)
            return "Ctrl-C stops everything" in said_in(checkout)

        await eventually(ready, within_s=READY_WITHIN_S, what="`make up` to be ready")
        started = descendants(process.pid)
        told = [run(block, checkout) for block in after_up()]
        simulator = re.search(r"phones and carriers: (\S+)", said_in(checkout))
        assert simulator is not None, "`make up` prints the simulator's address"
        await assert_as_told(told, simulator[1])
        os.killpg(process.pid, signal.SIGINT)

        async def gone() -> bool:
            return process.poll() is not None and not still_running(started)

        await eventually(gone, within_s=GONE_WITHIN_S, what="everything to end")
    assert len(started) >= PROCESSES_MIN
    assert "Traceback" not in said_in(checkout)


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def run(block: Block, checkout: Path) -> str:
    """Save or run one block; answers what it printed. A variable that one block sets is known to the next, as it is
    in a terminal."""
    if block.file:
        (checkout / block.file).write_text(block.text, "utf-8")
        return ""
    terminal = checkout / "terminal"
    remembered = terminal.read_text("utf-8") if terminal.exists() else ""
    kept = "declare -p API KEY SIMULATOR PATH WATCHWORD_POSTGRES WATCHWORD_KAFKA WATCHWORD_KEYRING"
    script = f"set -euo pipefail\n{remembered}\n{block.text}\n{kept} 2> /dev/null > terminal || true\n"
    ended = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=reader(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, f"{block.text}\n{ended.stderr}"
    return ended.stdout


async def assert_as_told(told: list[str], simulator: str) -> None:
    """What the commands printed, and what came of them on the phones."""
    answers = [answer for text in told for answer in json_values(text)]
    started, sent, verified = answers[:3]
    assert started["status"] == "pending" and "code" not in started
    assert sent["status"] == "pending"
    assert (verified["verified"], verified["result"]) == (True, "approved")
    async with carriers_at(simulator) as carriers:
        for number in ("+919876540042", "+919876540043", "+919876540044"):
            assert number.removeprefix("+91") in README
            await carriers.wait_for_code(number, within_s=15)
    async with aiohttp.ClientSession() as session, session.get(simulator) as page:
        assert page.status == 200


def json_values(text: str) -> list[dict[str, Any]]:
    """JSON objects that were printed one after the other, with nothing between them."""
    found, decoder, at = [], json.JSONDecoder(), text.find("{")
    while at >= 0:
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at = text.find("{", at)
    return found
