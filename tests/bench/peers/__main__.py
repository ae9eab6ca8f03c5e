"""`make bench-peers`: Watchword beside Kannel and Jasmin, one after the other, on the same carrier and load.

Prints what each costs, how fast and how soon it is, and what a kill in the middle loses or repeats; writes it to
.bench/peers.json. On a machine that others use too, compare CPU and counts rather than rates.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from rich.console import Console

from tests.bench import processes
from tests.bench.peers import printing
from tests.bench.peers.jasmin import Jasmin
from tests.bench.peers.kannel import Kannel, KannelSpool
from tests.bench.peers.measuring import CALL_TIMEOUT_S, Bench, Load
from tests.bench.peers.system import System
from tests.bench.peers.tally import Figures, Run, document
from tests.bench.peers.watchword import Watchword, WatchwordHttp
from tests.support.receiver import Reply, receiver
from watchword.local.process import LocalServerError

RESULTS = Path(".bench/peers.json")
MESSAGES_MAX = 5_000  # the simulator's feed keeps 20,000
ALL: dict[str, type[System]] = {
    "watchword": Watchword,
    "watchword-http": WatchwordHttp,
    "kannel": Kannel,
    "kannel-spool": KannelSpool,
    "jasmin": Jasmin,
}
USUAL = "watchword,kannel,kannel-spool,jasmin"
BROKE_OFF = (LocalServerError, AssertionError, OSError, aiohttp.ClientError, subprocess.SubprocessError)
TAKEN = Reply(200, body=b"ACK/Jasmin")  # Jasmin asks for these words; the others for the status alone


async def life(kind: type[System], load: Load, figures: Figures) -> Run:
    """One system from its start to its end, on a directory that is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="watchword-peers-"))
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=4 * load.senders)
    async with receiver(TAKEN) as platform, aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        system = kind(directory, platform.url)
        try:
            say(f"{kind.name} starts")
            await system.start()
            figures.durability, figures.servers = system.durability, system.servers
            run = await Bench(system, platform, session, load, say).run()
        finally:
            await system.stop()
    shutil.rmtree(directory, ignore_errors=True)
    return run


async def compared(kinds: Sequence[type[System]], load: Load, runs: int) -> list[Figures]:
    """Every system in turn, and again: whatever the machine does meanwhile is not one system's alone."""
    told = {kind: Figures(kind.name, left_out=kind.missing()) for kind in kinds}
    for _ in range(runs):
        for kind, figures in told.items():
            if figures.left_out and not figures.broke_off:
                continue
            try:
                figures.runs.append(await life(kind, load, figures))
            except* BROKE_OFF as errors:  # what the others showed is not lost with it
                [error, *_] = errors.exceptions
                figures.left_out, figures.broke_off = f"it broke off: {error!r}", True
                say(f"{kind.name} broke off")
    return list(told.values())


def say(line: str) -> None:
    """How far it is, with the seconds since the beginning, on stderr."""
    _progress.print(f"  {time.monotonic() - _began:6.1f} s  {line}", highlight=False, soft_wrap=True)


_progress = Console(stderr=True)
_began = time.monotonic()


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for. Ends with 2 and a reason for what cannot be."""
    usual = Load()
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--systems", default=USUAL, help=f"which, with commas between: {', '.join(ALL)}")
    parser.add_argument("--messages", type=int, default=usual.messages, help="of the burst")
    parser.add_argument("--killed", type=int, default=usual.killed, help="messages in the middle of which is killed")
    parser.add_argument("--senders", type=int, default=usual.senders, help="requests under way at a time")
    parser.add_argument("--rate", type=float, default=usual.rate_per_s, help="messages/s of the steady load")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="length of the steady load")
    parser.add_argument("--kill-servers", action="store_true", help="then once more, with RabbitMQ, Kafka, Postgres, …")
    parser.add_argument("--runs", type=int, default=1, help="how often all of it is done")
    parser.add_argument("--json", action="store_true", help="print what is written instead of tables")
    options = parser.parse_args(words)
    options.kinds = [name.strip() for name in options.systems.split(",")]
    unknown = [name for name in options.kinds if name not in ALL]
    if unknown:
        parser.error(f"--systems: there is no {', '.join(unknown)}; there are {', '.join(ALL)}")
    for name in ("messages", "killed", "senders", "rate", "seconds", "runs"):
        if not 1 <= getattr(options, name) <= MESSAGES_MAX:
            parser.error(f"--{name}: from 1 to {MESSAGES_MAX}")
    return options


def main() -> None:
    """Measure, write, print; exits 1 where a system could not be run to its end."""
    options = arguments()
    load = Load(
        messages=options.messages,
        killed=options.killed,
        senders=options.senders,
        rate_per_s=options.rate,
        seconds=options.seconds,
        kills_servers=options.kill_servers,
    )
    host = processes.host()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(compared([ALL[name] for name in options.kinds], load, options.runs))
    told = msgspec.json.format(msgspec.json.encode(document(figures, msgspec.to_builtins(load), host)))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(told)
    if options.json:
        sys.stdout.write(told.decode() + "\n")
    else:
        printing.side_by_side(Console(), figures)
    if any(each.broke_off for each in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
