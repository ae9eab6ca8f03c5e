"""The command line, run as an operator runs it, against the servers of a test."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support import command_line
from tests.support.history import History, Told
from tests.support.pipeline import Pipeline


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on its stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON values on its stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(stand: Pipeline) -> dict[str, str]:
    """What a command needs to find the test's servers."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return {
        **own,
        "WATCHWORD_KAFKA": stand.cluster.bootstrap,
        "WATCHWORD_POSTGRES": stand.dsn,
        "WATCHWORD_KEYRING": str(stand.keyring_path),
        "WATCHWORD_TOPIC_PREFIX": stand.cluster.topic_prefix,
        "WATCHWORD_GROUP_PREFIX": stand.cluster.group_prefix,
        "COLUMNS": "200",
    }


async def watchword(stand: Pipeline, *words: str) -> Ran:
    """Run `watchword WORDS…` to its end."""
    ended = await asyncio.to_thread(partial(command_line.run, *words, environment=environment(stand)))
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@asynccontextmanager
async def begun(stand: Pipeline, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command while it runs; killed if it is left running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchword", *words,
        env=environment(stand), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        preexec_fn=_hears_ctrl_c,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def publish(stand: Pipeline, *told: Told | History) -> None:
    """Publish told events, or whole histories, on the topics they belong on."""
    for each in told:
        for one in each.told if isinstance(each, History) else [each]:
            row = one.row
            await stand.publish_raw(row.topic, row.key, row.value, row.headers)


def _hears_ctrl_c() -> None:
    """A test run in the background was told to ignore SIGINT, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
