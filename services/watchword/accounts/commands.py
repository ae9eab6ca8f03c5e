"""`watchword gateways …`: what there is, whether an account is right, one message through it, a new one begun."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

import watchword.gateways
from watchword.accounts import scaffold
from watchword.accounts.checking import Flaw, flaws
from watchword.accounts.masking import masked
from watchword.accounts.source import accounts_of
from watchword.accounts.trying import plan_of, tried
from watchword.dispatch.calling import Silence
from watchword.gateways.catalog import ALL, GATEWAYS, facts_of
from watchword.gateways.contract import Account, Message
from watchword.gateways.facts import AccountForm
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.operations.databases import SAMPLE
from watchword.replay import terminal
from watchword.replay.terminal import AsJson
from watchword.runtime.clock import WallClock

app = typer.Typer(
    help="Providers and the accounts with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

LIFE_S = 300
NO_CODE = "000000"
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")

File = Annotated[Path | None, typer.Option("--file", help="Accounts of this TOML file, not those that were applied.")]


@app.command("ls")
def ls(as_json: AsJson = False) -> None:
    """Every gateway: what it offers, and what an account of it needs."""
    told = [facts_of(name) for name in sorted(ALL)]
    if as_json:
        terminal.say_json(told, pretty=True)
        return
    for facts in told:
        form = facts.account or AccountForm()
        needs = [*(f"options.{name}" for name in form.needs), *(f"secrets.{name}" for name in form.secrets)]
        lookup = "can be asked" if facts.capabilities.lookup else "cannot be asked"
        wanted = ", ".join(needs) if facts.account else "options of one's own"
        typer.echo(f"{facts.name:<9} {facts.resend:<9}  {lookup:<15}  {facts.capabilities.signature:<13}  {wanted}")


@app.command("check")
def check(
    accounts: Annotated[list[str] | None, typer.Argument(help="Accounts by id; none: all of them.")] = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Whether accounts can send and be believed; calls nobody. Exits 1 if anything serious is wrong."""
    found = accounts_of(file)
    chosen = [_account(found, name) for name in accounts] if accounts else list(found.values())
    told = [
        flaw for account in chosen for flaw in flaws(account, ALL[account.gateway], facts_of(account.gateway), SAMPLE)
    ]
    if as_json:
        terminal.say_json({"checked": [account.id for account in chosen], "flaws": told}, pretty=True)
    else:
        _say(chosen, told)
    if any(flaw.serious for flaw in told):
        raise typer.Exit(1)


@app.command("send-test")
def send_test(
    account: Annotated[str, typer.Argument(help="The account to send through, by id.")],
    to: Annotated[str, typer.Option("--to", help="The number to send to, with + and country.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the request, masked, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send one message, which the provider bills.")] = False,
    file: File = None,
) -> None:
    """One message through one account, or the request it would be. Exits 1 unless the message was taken."""
    if not _NUMBER.fullmatch(to):
        raise typer.BadParameter("a number is + and 7 to 15 digits, such as +919876543210", param_hint="--to")
    if dry_run == yes:
        raise typer.BadParameter("a message costs money: --yes sends it, --dry-run shows the request")
    chosen = _account(accounts_of(file), account)
    message = Message(
        client_ref=str(uuid4()),
        to=to,
        text=f"{NO_CODE} is not a code: this is a test.",
        sender="",
        life_s=LIFE_S,
        at=WallClock().now(),
        variables={"code": NO_CODE, "template": ""},
    )
    try:
        if dry_run:
            typer.echo(_shown(message, chosen))
        else:
            _conclude(asyncio.run(tried(message, chosen)))
    except ValueError as error:
        raise terminal.failed(f"{chosen.id} cannot send: {error}; see `watchword gateways check {chosen.id}`") from None


@app.command("new")
def new(name: Annotated[str, typer.Argument(help="The gateway's name, such as acme.")]) -> None:
    """Begin a gateway: a folder like its siblings', in the catalogue, that passes the contract suite."""
    try:
        folder = scaffold.begin(name, Path(watchword.gateways.__file__).parent)
    except scaffold.CannotBegin as error:
        raise terminal.failed(str(error), 2) from None
    typer.echo(f"{folder} is begun: its README.md, gateway.toml, gateway.py, and last its wire/, are yours to change")
    typer.echo("pytest tests/contract/gateways says what still holds")


def _account(found: Mapping[str, Account], name: str) -> Account:
    if name not in found:
        raise terminal.failed(f"there is no account {name}; there are {', '.join(sorted(found)) or 'none'}", 2)
    return found[name]


def _say(chosen: Sequence[Account], told: Sequence[Flaw]) -> None:
    for account in chosen:
        own = [flaw for flaw in told if flaw.account == account.id]
        word = "FAIL" if any(flaw.serious for flaw in own) else "ok  "
        typer.echo(f"{word}  {account.id} ({account.gateway})")
        for flaw in own:
            typer.echo(f"      {flaw.told}")
            typer.echo(f"      fix: {flaw.fix}")


def _shown(message: Message, account: Account) -> str:
    if account.gateway in GATEWAYS:
        return masked(GATEWAYS[account.gateway].encode(message, account), account, message)
    return plan_of(message, account)


def _conclude(answer: Outcome | Silence) -> None:
    if isinstance(answer, Silence):
        left = "it may have left" if answer.may_have_left else "it did not leave"
        raise terminal.failed(f"no answer ({answer.word}); {left}")
    typer.echo(f"{answer.kind}  {answer.raw_code}  {answer.provider_id}".rstrip())
    if answer.kind is not OutcomeClass.ACCEPTED:
        raise typer.Exit(1)
