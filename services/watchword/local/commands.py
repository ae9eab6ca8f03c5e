"""`watchword up` and `watchword demo`: the whole pipeline on one machine, until Ctrl-C or the end of the story."""

import asyncio
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiokafka.errors import KafkaError
from rich.console import Console

from watchword.audit.gather import LedgerError
from watchword.local.kafka import Kind
from watchword.local.narration import Narrator, NotAsTold, Platform
from watchword.local.process import LocalServerError
from watchword.local.stack import CONFIGURATION, ENVIRONMENT_FILE, LOOK_EVERY_S, Plan, Stack
from watchword.local.story import tell
from watchword.replay.reading import READ_ERRORS

DIRECTORY = Path(".watchword")


def up(console: Console, *, directory: Path, kind: Kind, http_port: int, configuration: Path | None = None) -> int:
    """Run everything until SIGINT or SIGTERM; answers the exit code."""
    told = _told_to_stop()
    plan = Plan(directory=directory, kafka=kind, http_port=http_port, configuration=configuration or CONFIGURATION)
    stack = Stack(plan, say=lambda line: console.print(f"  {line}"))
    with _running(stack, console) as started:
        if not started:
            return 1
        _banner(console, stack)
        while not told.wait(LOOK_EVERY_S):
            try:
                stack.watch()
            except LocalServerError as error:
                console.print(f"[bold red]a worker keeps ending:[/] {error}", highlight=False)
                return 1
    console.print("stopped; the data stays in", str(directory))
    return 0


def demo(console: Console, *, kind: Kind, keep: bool) -> int:
    """Tell the story on a fresh stack and stop it; answers 0 only if everything was as told."""
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="watchword-demo-"))
    stack = Stack(Plan(directory=directory, kafka=kind), say=lambda line: console.print(f"  {line}", highlight=False))
    narrator = Narrator(console)
    narrator.chapter("0. Broker, database, carriers and workers start")
    code = 1
    with _running(stack, console) as started:
        if started:
            code = _tell(console, narrator, stack)
    if code == 0 and not keep:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        console.print(f"logs and data: {directory}")
    console.print(f"\n[bold]{'All as told' if code == 0 else 'Not as told'}[/], {time.monotonic() - began:.1f} s.")
    return code


def _tell(console: Console, narrator: Narrator, stack: Stack) -> int:
    try:
        asyncio.run(_story(narrator, stack))
    except NotAsTold as error:
        console.print(f"  [bold red]✗ not as told:[/] {error}", highlight=False)
    except (*READ_ERRORS, LedgerError, KafkaError, aiohttp.ClientError, OSError, TimeoutError) as error:
        console.print(f"  [bold red]✗ broke off:[/] {error!r}", highlight=False)
    else:
        return 0
    return 1


async def _story(narrator: Narrator, stack: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        platform = Platform(session, stack.api_url, stack.api_key, stack.simulator_url)
        await tell(narrator, platform, stack)


@contextmanager
def _running(stack: Stack, console: Console) -> Iterator[bool]:
    """The stack, started or not, and in any case stopped again."""
    try:
        try:
            stack.start()
        except LocalServerError as error:
            console.print(f"[bold red]cannot start:[/] {error}", highlight=False)
            yield False
        else:
            yield True
    finally:
        stack.stop()


def _told_to_stop() -> threading.Event:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    return told


def _banner(console: Console, stack: Stack) -> None:
    console.print(f"\n[bold]Watchword[/] on {stack.api_url}   broker {stack.cluster.bootstrap}")
    console.print(f"  phones and carriers: {stack.simulator_url}")
    console.print(f"  API key (tenant demo): {stack.api_key}", highlight=False, soft_wrap=True)
    environment = stack.plan.directory / ENVIRONMENT_FILE
    console.print(
        f"  in another terminal: . {environment}",
        "  then, for one:",
        """curl -s $API/v1/verifications -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' """
        """-d '{"to":"+919876543210"}'; watchword doctor""",
        sep="\n",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    console.print("  Ctrl-C stops everything")
