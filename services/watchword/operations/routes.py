"""`watchword routes …`: what the applied routes mean for a number."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.kernel.phone import PhoneNumber, Refusal, parse
from watchword.kernel.tenancy import Choosing
from watchword.operations.routing import Counts, Explained, explain
from watchword.replay import terminal

if TYPE_CHECKING:
    from watchword.runtime.configuration import Configuration

_CHOSEN = {"weights": "drawn by weights", "scored": "drawn by how often codes were typed in time"}

app = typer.Typer(help="What the applied routes mean for a number.", no_args_is_help=True)


@app.callback()
def routes() -> None:
    """What the applied routes mean for a number."""


@app.command("explain")
def explain_(
    number: Annotated[str, typer.Argument(help="A number with its country code, such as +919876543210.")],
    purpose: Annotated[str, typer.Option(help="The purpose of the verification.")] = "login",
    template: Annotated[str, typer.Option(help='What is sent, as "tenant/template"; any without it.')] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which accounts serve NUMBER, in which order, and why. Exits 1 where nobody does."""
    to = _number(number)
    configuration, counts = terminal.run(_applied())
    if template and tuple(template.split("/", 1)) not in configuration.templates:
        there = ", ".join("/".join(each) for each in sorted(configuration.templates)) or "none"
        raise terminal.failed(f"there is no template {template}; there are {there}", 2)
    told = explain(to, purpose, configuration, template, counts)
    if as_json:
        terminal.say_json(asdict(told), pretty=True)
    else:
        _say(told)
    if not told.steps:
        raise terminal.failed(f"no route serves {told.country} {told.range}…: add one with `watchword apply`")
    if all(step.passed_over for step in told.steps):
        raise terminal.failed("every account is passed over: mend what is said of one, or add an account to the route")


def _number(text: str) -> PhoneNumber:
    """The number typed. Raises typer.BadParameter."""
    from phonenumbers import SUPPORTED_REGIONS

    found = parse(text, default_region="", allowed_countries={*SUPPORTED_REGIONS, "001"})
    if isinstance(found, Refusal):
        raise typer.BadParameter(f"{found.detail} ({found.code})")
    return found


async def _applied() -> tuple["Configuration", Counts]:
    """What is applied, without anybody's secrets, and what scored routes draw by now, if there are any."""
    import asyncpg

    from watchword.runtime.configuration import SQL, row_of, snapshot
    from watchword.runtime.keyring import Keyring

    dsn = terminal.settings("postgres").postgres.get_secret_value()
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
    try:
        rows = [row_of(record) for record in await connection.fetch(SQL["latest"])]
        configuration = snapshot(rows, serial=0, keyring=Keyring({}))
        scored = any(route.choice is Choosing.SCORED for route in configuration.routes)
        return configuration, await _counts(connection) if scored else {}
    finally:
        await connection.close(timeout=10)


async def _counts(connection: Any) -> Counts:
    """The table of scores as it counts now, by the database's clock."""
    from watchword.dispatch.decide.scoring import Tally
    from watchword.dispatch.store import SQL

    now = await connection.fetchval("SELECT clock_timestamp()")
    rows = await connection.fetch(SQL["scores"])
    tallies = {
        (row["account"], row["country"]): Tally(row["verified"], row["unverified"], row["as_of"]).faded(now)
        for row in rows
    }
    return {key: (tally.verified, tally.unverified) for key, tally in tallies.items()}


def _say(told: Explained) -> None:
    typer.echo(f"{told.country} {told.range}…, {told.number_type}, for {told.purpose}")
    for each in told.routes:
        words = [each.why, ", ".join(each.accounts), *([_CHOSEN[each.choice]] if each.choice in _CHOSEN else [])]
        if each.price_max_micros:
            words.append(f"up to {each.price_max_micros / 1_000_000:g} {each.price_currency} a part")
        if each.hedge_after_s:
            words.append(f"another account beside it where nothing is heard for {each.hedge_after_s} s")
        typer.echo(f"{'route' if each.used else 'not  '} {each.route}: {'; '.join(words)}")
    for number, step in enumerate(told.steps, start=1):
        price = f", {step.price_micros / 1_000_000:g} {step.currency} a part" if step.price_micros else ""
        sender = f'"{step.sender}"' if step.sender else "the provider's choice"
        typer.echo(f"{number}. {step.account} ({step.gateway or 'gone'}), sender {sender}{price}")
        for note in (*_drawn(told, step.account), *step.notes):
            typer.echo(f"   {note}")
    for line in told.templates:
        typer.echo(f"template {line}")
    typer.echo("Not known here, but to each running dispatch (its operations port, or `watchword top`):")
    for metric, meaning in told.known_to_dispatch.items():
        typer.echo(f"  {metric}: {meaning}")


def _drawn(told: Explained, account: str) -> list[str]:
    """What the account is drawn by, and how often it comes first."""
    found = next((each for each in told.chances if each.account == account), None)
    if found is None:
        return []
    by = f"weight {found.weight}"
    if not found.weight:
        by = f"codes typed in time {found.verified:.1f}, not {found.unverified:.1f}, faded by half every 15 minutes"
    return [f"{by}: first in {found.first_share:.0%} of draws"]
