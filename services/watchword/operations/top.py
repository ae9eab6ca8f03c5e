"""`watchword top`: how every stage and account fares, drawn anew every second."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from watchword.operations.drawing import draw
from watchword.operations.pages import Page, PortsUnknown, every_copy, known_ports, read_pages
from watchword.operations.view import View, view
from watchword.replay import terminal

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

NOBODY = "no process answers"


@app.command()
def run(
    ops: Annotated[
        list[str] | None,
        typer.Option(help="An operations port, such as http://127.0.0.1:9100, or a name of several; may be repeated."),
    ] = None,
    every_s: Annotated[float, typer.Option("--every", min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Draw one view, of two looks, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One view as JSON; implies --once.")] = False,
) -> None:
    """Stages, accounts and the outbox of a running system, from its operations ports. Exits 1 if none answers."""
    try:
        urls = known_ports(ops or ())
    except PortsUnknown as error:
        raise terminal.failed(str(error), code=2) from None
    if once or as_json:
        seen = terminal.run(_once(urls, every_s), interrupted=0)
        if all(process.problem for process in seen.processes):
            raise terminal.failed(f"{NOBODY}: {', '.join(urls)}")
        if as_json:
            terminal.say_json(seen, pretty=True)
        else:
            Console().print(draw(seen))
        return
    terminal.run(_watch(urls, every_s), interrupted=0)


async def _once(urls: Sequence[str], every_s: float) -> View:
    found = await every_copy(urls)
    before = await read_pages(found)
    await asyncio.sleep(every_s)
    return view(before, await read_pages(found))


async def _watch(urls: Sequence[str], every_s: float) -> None:
    """Draw until interrupted. A process that is away is drawn as such."""
    before: list[Page] = await read_pages(await every_copy(urls))
    with Live(Text("looking …"), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(every_s)
            now = await read_pages(await every_copy(urls))
            live.update(draw(view(before, now)), refresh=True)
            before = now
