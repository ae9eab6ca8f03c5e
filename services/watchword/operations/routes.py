"""`watchword routes …`: what the applied routes mean for a number."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.kernel.phone import PhoneNumber, Refusal, parse
from watchword.operations.routing import Explained, explain
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which accounts serve NUMBER, in which order, and why. Exits 1 where nobody does."""
    told = explain(_number(number), purpose, terminal.run(_configuration()))
    if as_json:
        terminal.say_json(asdict(told), pretty=True)
    else:
        _say(told)
    if not told.steps:
        raise terminal.failed(f"no route serves {told.country} {told.range}…: add one with `watchword apply`")
    if all(step.passed_over for step in told.steps):
        raise terminal.failed("every account is passed over: raise the route's price_max_micros, or add an account")


def _number(text: str) -> PhoneNumber:
    """The number typed. Raises typer.BadParameter."""
    from phonenumbers import SUPPORTED_REGIONS

    found = parse(text, default_region="", allowed_countries={*SUPPORTED_REGIONS, "001"})
    if isinstance(found, Refusal):
        raise typer.BadParameter(f"{found.detail} ({found.code})")
    return found


async def _configuration() -> "Configuration":
    """What is applied, without anybody's secrets."""
    import asyncpg

    from watchword.runtime.configuration import SQL, row_of, snapshot
    from watchword.runtime.keyring import Keyring

    dsn = terminal.settings("postgres").postgres.get_secret_value()
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
    try:
        rows = [row_of(record) for record in await connection.fetch(SQL["latest"])]
    finally:
        await connection.close(timeout=10)
    return snapshot(rows, serial=0, keyring=Keyring({}))


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
        for note in step.notes:
            typer.echo(f"   {note}")
    for line in told.templates:
        typer.echo(f"template {line}")
