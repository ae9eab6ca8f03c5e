"""A flame graph of every worker while it works, by py-spy, which reads a process from outside."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

SAMPLES_PER_S = 97  # a prime, so that nothing that comes by the clock is always met or always missed
ENDS_WITHIN_S = 30.0


class ProfilerError(RuntimeError):
    """py-spy could not look. The message is its own."""


async def flame_graphs(pids: Mapping[str, int], directory: Path, seconds: float) -> list[Path]:
    """Watch every process for `seconds`; answers the files, one SVG each. Raises ProfilerError."""
    directory.mkdir(parents=True, exist_ok=True)
    return list(await asyncio.gather(*(_watched(name, pid, directory, seconds) for name, pid in pids.items())))


async def _watched(name: str, pid: int, directory: Path, seconds: float) -> Path:
    file = directory / f"flame-{name.replace(',', '-')}.svg"
    program = str(Path(sys.executable).with_name("py-spy"))
    process = await asyncio.create_subprocess_exec(
        program, "record", "--pid", str(pid), "--duration", str(max(round(seconds), 1)),
        "--rate", str(SAMPLES_PER_S), "--nonblocking", "--format", "flamegraph", "--output", str(file),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, complaint = await asyncio.wait_for(process.communicate(), seconds + ENDS_WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProfilerError(f"py-spy could not look at {name}: {complaint.decode(errors='replace').strip()[-500:]}")
    return file
