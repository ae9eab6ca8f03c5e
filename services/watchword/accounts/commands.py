"""`watchword gateways …`: what there is, whether an account is right, one message through it, a new one begun."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

import watchword.gateways
from watchword.accounts import scaffold, specimen
from watchword.accounts.checking import Flaw, flaws
from watchword.accounts.masking import masked
from watchword.accounts.source import configured
from watchword.accounts.trying import plan_of, tried
from watchword.dispatch.calling import Silence
from watchword.gateways.catalog import ALL, GATEWAYS, facts_of
from watchword.gateways.contract import Account, Message
from watchword.gateways.facts import AccountForm, Capabilities
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
        lookup = _asked(facts.capabilities)
        wanted = ", ".join(needs) if facts.account else "options of one's own"
        typer.echo(f"{facts.name:<9} {facts.resend:<9}  {lookup:<15}  {facts.capabilities.signature:<13}  {wanted}")


def _asked(can: Capabilities) -> str:
    """What the provider can be asked about a message by."""
    if can.lookup:
        return "can be asked"
    return "asked by its id" if can.trace else "cannot be asked"


@app.command("check")
def check(
    accounts: Annotated[list[str] | None, typer.Argument(help="Accounts by id; none: all of them.")] = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Whether accounts can send and be believed; calls nobody. Exits 1 if anything serious is wrong."""
    found = configured(file).accounts
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
    template: Annotated[
        str, typer.Option("--template", help="Send this template's text, by id or tenant/id, with its registration.")
    ] = "",
    unregistered: Annotated[
        bool, typer.Option("--unregistered", help="To India without a registration: the provider adds it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the request, masked, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send one message, which the provider bills.")] = False,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """One message through one account, or the request it would be. Exits 1 unless the message was taken."""
    if dry_run == yes:
        raise typer.BadParameter("a message costs money: --yes sends it, --dry-run shows the request")
    try:
        number = specimen.number_of(to)
        there = configured(file)
        chosen = _account(there.accounts, account)
        text = specimen.template_of(template, there.templates) if template else None
        message = specimen.message_to(
            number, chosen, text, client_ref=str(uuid4()), at=WallClock().now(), unregistered=unregistered
        )
    except specimen.CannotTest as error:
        raise terminal.failed(str(error), 2) from None
    try:
        told = _shown(message, chosen) if dry_run else asyncio.run(tried(message, chosen))
    except ValueError as error:
        raise terminal.failed(f"{chosen.id} cannot send: {error}; see `watchword gateways check {chosen.id}`") from None
    _tell(told, message, chosen, as_json=as_json)


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


def _tell(told: str | Outcome | Silence, message: Message, account: Account, *, as_json: bool) -> None:
    """Say what came of it. Raises typer.Exit with 1 where a message was to be taken, and was not."""
    if as_json:
        terminal.say_json(_report(told, message, account), pretty=True)
    elif isinstance(told, str):
        typer.echo(told)
    elif isinstance(told, Outcome):
        typer.echo(f"{told.kind}  {told.raw_code}  {told.provider_id}".rstrip())
    if isinstance(told, Silence) and not as_json:
        left = "it may have left" if told.may_have_left else "it did not leave"
        raise terminal.failed(f"no answer ({told.word}); {left}")
    if not isinstance(told, str) and not (isinstance(told, Outcome) and told.kind is OutcomeClass.ACCEPTED):
        raise typer.Exit(1)


def _report(told: str | Outcome | Silence, message: Message, account: Account) -> dict[str, object]:
    """The same as JSON, with what went along: neither number nor text."""
    about: dict[str, object] = {
        "account": account.id,
        "gateway": account.gateway,
        "client_ref": message.client_ref,
        "template": message.variables["template"],
        "sender": message.sender or account.sender,
        "dlt_entity_id": message.dlt_entity_id,
        "dlt_template_id": message.dlt_template_id,
        "dlt_telemarketers": message.dlt_telemarketers,
        "dlt_chain_hash": message.dlt_chain_hash,
    }
    match told:
        case str():
            return about | {"request": told}
        case Outcome():
            return about | {"outcome": told.kind, "raw_code": told.raw_code, "provider_id": told.provider_id}
        case Silence():
            return about | {"no_answer": told.word, "may_have_left": told.may_have_left}
