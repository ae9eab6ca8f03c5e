"""What the operators' commands share: settings, the run of their work, and how it ends."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from watchword.replay.reading import READ_ERRORS
from watchword.runtime import logs
from watchword.runtime.settings import RuntimeSettings, load_runtime

T = TypeVar("T")

INTERRUPTED = 130

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line where there are many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be read, and read nothing.")]
Tenant = Annotated[str, typer.Option(help="Only this tenant's.")]
Since = Annotated[str, typer.Option("--from", help="Begin here: 15m (ago), now, or 2026-01-31T12:00Z.")]
Until = Annotated[str, typer.Option("--to", help="End here; the present end without it.")]
Where = Annotated[
    str,
    typer.Option(
        "--where",
        help="Fields of an entry as --json shows them, with = != < <= > >= contains, not, and, or, brackets: 'state = "
        "failed and country = IN', 'reasons[*].code = range_blocked'.",
    ),
]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only this topic; may be repeated. The .v1 may be left out.")
]


def settings(*needs: str) -> RuntimeSettings:
    """The runtime's settings, `needs` among them, with logging set up to warn only. Raises SettingsError."""
    told = load_runtime()
    logs.configure(level="warning", style=told.log_format)
    told.need(*needs)
    return told


def run(work: Coroutine[Any, Any, T], *, interrupted: int = INTERRUPTED) -> T:
    """Do `work` to its end. Ctrl-C ends it cleanly with the exit code `interrupted`, a cluster that is away with 1."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        if interrupted:
            typer.echo("interrupted; nothing was changed", err=True)
        raise typer.Exit(interrupted) from None
    except READ_ERRORS as error:
        raise failed(
            f"Kafka cannot be read ({type(error).__name__}: {error}); WATCHWORD_KAFKA says where it is, "
            "`watchword doctor` what is wrong with it"
        ) from error


def failed(words: str, code: int = 1) -> typer.Exit:
    """The exit with `code`, once `words` are told on stderr."""
    typer.echo(f"watchword: {words}", err=True)
    return typer.Exit(code)


def say_json(value: Any, *, pretty: bool = False) -> None:
    """One JSON value on stdout."""
    told = msgspec.to_builtins(value)
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2 if pretty else None))


def say_table(rows: Iterable[Sequence[str]], head: Sequence[str]) -> None:
    """Rows under their heads, columns aligned, the last one as long as it is."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(head) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip())
