"""After many verifications: are the tables that the topics fold to the live ones?"""

import asyncio
import sys
from dataclasses import dataclass

import orjson

from tests.bench.measuring import Bench
from watchword.local.stack import Stack

CHUNK_S = 20.0
FOLDS_WITHIN_S = 300.0
DIFFERENCES_TOLD = 10


@dataclass(frozen=True)
class Outcome:
    """What `watchword replay fold --compare` said."""

    told: str
    differs: bool


async def verified(bench: Bench, count: int, rate_per_s: float) -> None:
    """Verify `count` numbers, a part at a time so that one can see how far it is."""
    approved = 0
    while approved < count:
        run = await bench.load(rate_per_s, min(CHUNK_S, (count - approved) / rate_per_s + 0.1))
        approved += run.seen.approved


async def compared(stack: Stack) -> Outcome:
    """Run the command as an operator would. Raises RuntimeError where it cannot do its work."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchword", "replay", "fold", "--compare", "--json",
        env=stack.command_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaint = await asyncio.wait_for(process.communicate(), FOLDS_WITHIN_S)
    if not out:
        raise RuntimeError(f"the fold ended with {process.returncode}: {complaint.decode(errors='replace')[-500:]}")
    told = orjson.loads(out)
    comparison = told["comparison"]
    differences = comparison["differences"]
    words = f"{comparison['compared']:,} verifications compared, {len(differences):,} differences"
    for each in differences[:DIFFERENCES_TOLD]:
        words += f"\n  {each}"
    return Outcome(f"{words}; from {told['read']:,} records", bool(differences) or process.returncode != 0)
