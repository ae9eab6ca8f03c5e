"""The outcome of a run for a reader at a terminal, or for a program: chaos, overload and soak end alike."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

BROKEN_SHOWN = 40

Show = Callable[[Console, Mapping[str, Any]], None]


def run_once(
    name: str, run: Callable[[Path], Coroutine[Any, Any, dict[str, Any]]], *, keep: Callable[[bool], bool] | None = None
) -> dict[str, Any]:
    """What `run` answers, run in a directory that is removed afterwards. With `keep` it stays where a run broke off,
    and where `keep` says so of one whose promises were kept or not; then it is told."""
    directory = Path(tempfile.mkdtemp(prefix=f"watchword-{name}-"))
    kept = keep is not None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = runner.run(run(directory))
        kept = keep is not None and keep(told["kept"])
    finally:
        if kept:
            Console(stderr=True).print(f"  logs and data: {directory}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return told


def conclude(told: Mapping[str, Any], *, as_json: bool, show: Show) -> NoReturn:
    """Print the outcome, and end: with 0 if its promises were kept, else with 1."""
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(Console(), told)
    sys.exit(0 if told["kept"] else 1)


def show_figures(console: Console, told: Mapping[str, Any]) -> None:
    """One line a figure, and what was broken."""
    table = Table("figure", "")
    for name, value in told.items():
        if name not in ("broken", "kept"):
            table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    for line in told["broken"]:
        console.print(f"  [bold red]✗[/] {line}", highlight=False)
    console.print(f"[bold]{'every promise was kept' if told['kept'] else 'PROMISES WERE BROKEN'}[/]")


def show(console: Console, told: Mapping[str, Any]) -> None:
    """What was done, what came of it, and how to do it again."""
    table = Table("fault", "times", title=f"{sum(told['injected'].values())} faults")
    for kind, times in told["injected"].items():
        table.add_row(kind, str(times))
    console.print(table)
    for kind, times in told["hindered"].items():
        console.print(f"not brought about, something else was broken: {kind} ({times})", highlight=False)
    for line in told["not_injected"]:
        console.print(f"[bold yellow]{line}[/]", highlight=False)
    console.print(f"records of poison: {told['poison']}; forged receipts: {told['forged_receipts']}", highlight=False)
    console.print(
        f"ends that the endpoint was told: {told['ends_told']}; attempts reported on: {told['attempts_reported']}"
    )
    console.print(f"calls that users had to repeat: {told['calls_repeated']}", highlight=False)
    _ledger(console, told["ledger"])
    broken = told["ledger"]["broken"]
    for each in broken[:BROKEN_SHOWN]:
        console.print(f"  [bold red]✗[/] {each['what']}: {each['shown_by']}", highlight=False, soft_wrap=True)
    if len(broken) > BROKEN_SHOWN:
        console.print(f"  … and {len(broken) - BROKEN_SHOWN} more; --json tells all", highlight=False)
    console.print(f"audit: {told['audit']}")
    console.print(f"[bold]{'every promise was kept' if told['kept'] else 'PROMISES WERE BROKEN'}[/]")
    again = f"make chaos MINUTES={told['minutes']:g} RATE={told['rate_per_s']:g} SEED={told['seed']}"
    console.print(f"again: {again}", highlight=False)


def _ledger(console: Console, ledger: Mapping[str, Any]) -> None:
    table = Table("ledger", "", title=f"{ledger['users']} users")
    rows = {
        "accepted": ledger["accepted"],
        "sent": ledger["sent"],
        "lost": ledger["lost"],
        "late": ledger["late"],
        **{f"sent through {kind}": count for kind, count in sorted(ledger["sent_by_class"].items())},
        **{
            f"duplicates, {kind}": f"{ledger['duplicates'].get(kind, 0)}, "
            f"{ledger['told_of_duplicates'].get(kind, 0)} accounted for"
            for kind in ("dedupes", "asked", "blind", "held")
        },
        "without a message, and told why": ledger["without_code"],
        **{f"ended {state}" if state != "issued" else "still live": n for state, n in sorted(ledger["ended"].items())},
        **{f"refused: {word}": count for word, count in sorted(ledger["refused"].items())},
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
