"""`watchword apply` on a stack that runs, as its operator would type it."""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from tests.support import command_line
from watchword.local.stack import Stack


async def apply_to(stack: Stack, file: Path, text: str) -> dict[str, Any]:
    """Apply these documents; answers what the command printed as JSON. `${simulator}` is the simulator's address."""
    file.write_text(text.replace("${simulator}", stack.simulator_url), "utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    settings = {
        "WATCHWORD_POSTGRES": stack.dsn,
        "WATCHWORD_KEYRING": str(stack.plan.directory.resolve() / "keyring.json"),
    }
    words = ("apply", str(file), "--json")
    ended = await asyncio.to_thread(partial(command_line.run, *words, environment=own | settings))
    assert ended.returncode == 0, ended.stderr
    return dict(orjson.loads(ended.stdout))
