"""What SMPP costs: submissions a second with their receipts, each ESME on one core, our SMSC on another.

`python -m tests.bench.smpp` prints one line a run and ESME: ours; with `--peers` smpp34 on the same SMSC, and Jasmin
in the middle, between our ESME and our SMSC. Jasmin may use every core.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.interop import jasmin as jasmins
from tests.interop.peers import PYTHON, has_python_package, output_of
from tests.support.carrier import carriers_at
from tests.support.esme import Esme, account_at, esme
from watchword.dispatch.calling import Silence
from watchword.gateways.outcome import OutcomeClass
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process, Program
from watchword.local.stack import answers
from watchword.local.warm import COMMAND

WITHIN_S = 120.0
READY_WITHIN_S = 60.0
SMPP34_ESME = Path(__file__).with_name("smpp34_esme.py")


@dataclass(frozen=True)
class Load:
    """How many messages, over how many binds, with how many unanswered on each."""

    messages: int
    binds: int
    window: int

    @property
    def senders(self) -> int:
        """How many messages are under way at a time."""
        return self.binds * self.window


@contextmanager
def smsc(core: int) -> Iterator[tuple[int, str]]:
    """Our SMSC on a core of its own: its port, and where the simulator is asked."""
    port, smpp = free_ports(2)
    with tempfile.TemporaryDirectory() as directory:
        words = ("simulator", "--port", str(port), "--smpp-port", str(smpp), "--carrier", "north")
        process = Process(Program("smsc", (*COMMAND, *words), Path(directory) / "log", Path(directory)))
        os.sched_setaffinity(process.pid, {core})
        url = f"http://{LOOPBACK}:{port}"
        try:
            process.await_ready(lambda: answers(f"{url}/ledger"), READY_WITHIN_S)
            yield smpp, url
        finally:
            process.stop()


async def ours(port: int, load: Load, *, system_id: str = "north", password: str = "northpwd") -> tuple[float, float]:
    """Seconds from the first submission to the last receipt, and CPU seconds of this end."""
    options = {"system_id": system_id, "binds": str(load.binds), "window": str(load.window)}
    account = account_at(f"smpp://{LOOPBACK}:{port}", options=options, secrets={"password": password})
    async with esme(account) as it, asyncio.timeout(WITHIN_S):
        await it.ready(load.binds)
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        each = load.messages // load.senders
        await asyncio.gather(*(_sender(it, each) for _ in range(load.senders)))
        while len(it.reports) < each * load.senders:
            await asyncio.sleep(0)
        return time.perf_counter() - begun_s, time.process_time() - cpu_s


async def _sender(it: Esme, messages: int) -> None:
    for _ in range(messages):
        outcome = await it.send()
        if isinstance(outcome, Silence) or outcome.kind is not OutcomeClass.ACCEPTED:
            raise RuntimeError(f"not accepted: {outcome}")


async def smpp34(port: int, load: Load) -> tuple[float, float]:
    """The same of smpp34, whose core is Rust; one bind, with all that is under way."""
    told = await output_of(
        str(PYTHON), str(SMPP34_ESME), str(port), str(load.messages), str(load.senders), within_s=WITHIN_S
    )
    seconds, cpu_s = told.split()
    return float(seconds), float(cpu_s)


async def through_jasmin(port: int, load: Load, cores: set[int]) -> tuple[float, float]:
    """Our ESME into Jasmin, Jasmin into our SMSC, receipts all the way back; CPU is of our end alone."""
    with tempfile.TemporaryDirectory() as directory:
        os.sched_setaffinity(0, cores)
        connectors = jasmins.CONNECTORS_AT_BEST
        async with jasmins.jasmin(Path(directory), port, per_second=0, connectors=connectors) as between:
            return await ours(between.smpp_port, load, system_id=jasmins.USER, password=jasmins.PASSWORD)


Contender = Callable[[int, Load], Coroutine[Any, Any, tuple[float, float]]]


async def run(load: Load, *, peers: bool) -> None:
    """One run of each, on an SMSC of its own."""
    cores = os.sched_getaffinity(0)
    first, last = min(cores), max(cores)
    contenders: dict[str, Contender] = {"ours": ours}
    if peers and has_python_package("smpp34"):
        contenders["smpp34"] = smpp34
    for name, contender in contenders.items():
        with smsc(last) as (port, url):
            async with carriers_at(url) as carriers:
                await carriers.behave("north", token="northpwd")
                os.sched_setaffinity(0, {first})
                _tell(name, load, *await contender(port, load))
        os.sched_setaffinity(0, cores)
    if peers and jasmins.is_installed():
        few = Load(load.messages // 10, load.binds, load.window)
        with smsc(last) as (port, url):
            async with carriers_at(url) as carriers:
                await carriers.behave("north", token="northpwd", receipt_delay_ms=jasmins.LATER)
                _tell("jasmin", few, *await through_jasmin(port, few, cores))


def _tell(name: str, load: Load, seconds: float, cpu_s: float) -> None:
    each = f"{cpu_s * 1_000 / load.messages:.3f} CPU-ms of the ESME each"
    sys.stdout.write(f"{name:7} {load.messages / seconds:7.0f} submissions/s with receipts ({each})\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--binds", type=int, default=2)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="smpp34 and Jasmin beside it, where they are installed")
    told = parser.parse_args()
    load = Load(told.messages // (told.binds * told.window) * told.binds * told.window, told.binds, told.window)
    for _ in range(told.runs):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(load, peers=told.peers))


if __name__ == "__main__":
    main()
