"""`watchword erase`: a person asks to be forgotten."""

import getpass
import sys
from typing import Annotated

import phonenumbers
import typer

from watchword.erasure.erasing import By, Kept, erase
from watchword.kernel.phone import PhoneNumber, parse
from watchword.kernel.secret import Phone
from watchword.replay import terminal
from watchword.replay.entry import shown_time
from watchword.replay.terminal import AsJson
from watchword.runtime.keyring import Keyring, Purpose

app = typer.Typer(help="A person is forgotten.", pretty_exceptions_enable=False, add_completion=False)

STDIN = "-"
_ANYWHERE = frozenset(phonenumbers.SUPPORTED_REGIONS) | {phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY}
_AFTERWARDS = (
    "Its sealed copies in tables can be read no more. Raw receipts and what platforms published themselves "
    "are sealed or kept otherwise and go with their topics, in 30 days and in 1 day."
)


@app.command()
def erase_(
    to: Annotated[str, typer.Option(help="The number in E.164, or - to read it from stdin: no process list shows it.")],
    tenant: Annotated[str, typer.Option(help="Only of this tenant; of every tenant without it.")] = "",
    reason: Annotated[str, typer.Option(help="Why you do this; kept with your name.")] = "asked for by the person",
    who: Annotated[str, typer.Option("--by", help="Who you are; your login name without it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say where the number is kept, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the data key of one number, so that nobody can read it any more. Counts and histories stay as they are."""
    number = _number(sys.stdin.readline() if to == STDIN else to)
    if not reason.strip():
        raise terminal.failed("--reason is empty; say why, it is kept with your name", 2)
    told = terminal.settings("postgres", "keyring")
    keyring = Keyring.load(told.keyring, {Purpose.NUMBER_TOKEN})
    by = None if dry_run else By(who.strip() or getpass.getuser(), reason.strip())
    try:
        found = terminal.run(erase(told.postgres.get_secret_value(), keyring, number, tenant, by))
    except KeyError:
        raise terminal.failed(f"there is no tenant {tenant!r}; see `watchword apply`", 2) from None
    _say(found, dry_run=dry_run, as_json=as_json)


def _say(found: list[Kept], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        terminal.say_json({"erased": not dry_run and bool(found), "kept": found}, pretty=True)
        return
    for each in found:
        typer.echo(f"{'kept' if dry_run else 'erased'}  {each.tenant}  since {shown_time(each.since)}")
    if not found:
        typer.echo("the number is kept nowhere")
    elif dry_run:
        typer.echo("dry run: nothing was changed")
    else:
        typer.echo(_AFTERWARDS)


def _number(text: str) -> Phone:
    number = parse(text.strip(), default_region="", allowed_countries=_ANYWHERE)
    if not isinstance(number, PhoneNumber):
        raise terminal.failed("--to is not a phone number; write it in E.164, such as +91 and ten digits", 2)
    return number.e164
