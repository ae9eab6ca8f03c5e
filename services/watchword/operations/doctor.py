"""`watchword doctor`: whether everything is in its place, and for what is not the line that mends it."""

from importlib import import_module
from typing import Annotated

import typer

from watchword.contracts.folder import root
from watchword.contracts.topics import topics
from watchword.flow import WORKERS
from watchword.gateways.catalog import ALL
from watchword.operations.brokers import broker
from watchword.operations.clocks import clocks
from watchword.operations.databases import database
from watchword.operations.finding import Finding
from watchword.operations.machine import doors, keyring, schemas
from watchword.replay import terminal
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import cluster_of
from watchword.runtime.keyring import OF_TOOLS, Purpose
from watchword.runtime.settings import RuntimeSettings

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def run(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Broker, topics, schemas, clocks, database, keys, accounts, routes, doors. Exits 1 if anything is not well.

    Changes nothing, but for a topic of a moment's life that tells the broker's time."""
    settings = terminal.settings("kafka", "postgres", "keyring")
    found = terminal.run(_examine(settings))
    if as_json:
        terminal.say_json({"well": all(each.ok for each in found), "findings": found}, pretty=True)
    else:
        _say(found)
    if not all(each.ok for each in found):
        raise typer.Exit(1)


async def _examine(settings: RuntimeSettings) -> list[Finding]:
    cluster, dsn = cluster_of(settings), settings.postgres.get_secret_value()
    return [
        *schemas(root()),
        *keyring(settings.keyring, _parts()),
        *doors(settings),
        *await broker(cluster, topics(), production=settings.partitions == "production"),
        *await database(dsn, settings.keyring, ALL),
        *await clocks(cluster, dsn, WallClock()),
    ]


def _parts() -> dict[str, frozenset[Purpose]]:
    """The purposes that each process's part of the keyring holds: workers name theirs themselves."""
    workers = {worker.name: frozenset(import_module(worker.module).KEYS) for worker in WORKERS}
    return {**OF_TOOLS, **workers}


def _say(found: list[Finding]) -> None:
    for each in found:
        subject = f" {each.subject}" if each.subject else ""
        typer.echo(f"{'ok  ' if each.ok else 'FAIL'}  {each.check}{subject}: {each.told}")
        if each.fix:
            typer.echo(f"      fix: {each.fix}")
    flaws = sum(not each.ok for each in found)
    typer.echo("all is well" if not flaws else f"{flaws} to mend")
