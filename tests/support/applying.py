"""`watchword apply` on a stack that runs, as its operator would type it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson

from watchword.local.stack import Stack

APPLIED_WITHIN_S = 30.0


async def apply_to(stack: Stack, file: Path, text: str) -> dict[str, Any]:
    """Apply these documents; answers what the command printed as JSON. `${simulator}` is the simulator's address."""
    file.write_text(text.replace("${simulator}", stack.simulator_url), "utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    settings = {
        "WATCHWORD_POSTGRES": stack.dsn,
        "WATCHWORD_KEYRING": str(stack.plan.directory.resolve() / "keyring.json"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchword", "apply", str(file), "--json",
        env=own | settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(APPLIED_WITHIN_S):
        told, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return dict(orjson.loads(told))
