"""What SMPP costs: submissions a second with their receipts, our ESME and our SMSC together on one core.

`python -m tests.bench.smpp` prints one line for each of three runs.
"""

import argparse
import asyncio
import os
import sys
import time

import uvloop

from tests.support.carrier import simulated
from tests.support.esme import Esme, account_at, esme
from watchword.dispatch.calling import Silence
from watchword.gateways.outcome import OutcomeClass

RECEIPTS_WITHIN_S = 60.0


async def measure(messages: int, binds: int, window: int) -> tuple[float, float]:
    """Messages a second from the first submission to the last receipt, and CPU-ms for each, both ends counted."""
    async with simulated(smpp_port=0) as carriers:
        options = {"system_id": "north", "binds": str(binds), "window": str(window)}
        async with esme(account_at(carriers.smpp_url, options=options)) as it:
            await it.ready(binds)
            started_s, cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(_sender(it, messages // (binds * window)) for _ in range(binds * window)))
            wanted = messages // (binds * window) * binds * window
            async with asyncio.timeout(RECEIPTS_WITHIN_S):
                while len(it.reports) < wanted:
                    await asyncio.sleep(0)
            return wanted / (time.perf_counter() - started_s), (time.process_time() - cpu_s) * 1_000 / wanted


async def _sender(it: Esme, messages: int) -> None:
    for _ in range(messages):
        outcome = await it.send()
        if isinstance(outcome, Silence) or outcome.kind is not OutcomeClass.ACCEPTED:
            raise RuntimeError(f"not accepted: {outcome}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--binds", type=int, default=2)
    parser.add_argument("--window", type=int, default=20)
    told = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for _ in range(3):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rate, cpu_ms = runner.run(measure(told.messages, told.binds, told.window))
        each = f"{cpu_ms:.3f} CPU-ms each, {1_000 / cpu_ms:.0f} a CPU-second"
        sys.stdout.write(f"{rate:7.0f} submissions/s with receipts, both ends on one core ({each})\n")


if __name__ == "__main__":
    main()
