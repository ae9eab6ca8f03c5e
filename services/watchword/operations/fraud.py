"""`watchword fraud …`: what is blocked and why, a block lifted, rules exchanged; scoring a recording is fraud's own."""

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from watchword.fraud import lifting, offline, rulesets
from watchword.fraud.commands import app
from watchword.fraud.decide.explain import Explanation, explained
from watchword.fraud.decide.rules import Rules
from watchword.fraud.lifting import By, Lift
from watchword.fraud.rulesets import Role
from watchword.kernel.feature import kind_of
from watchword.operations import blocks as reading
from watchword.operations.blocks import Block
from watchword.replay import terminal
from watchword.replay.entry import shown_time
from watchword.replay.terminal import AsJson
from watchword.runtime.kafka import cluster_of

__all__ = ["app"]

HOURS_MAX = 24 * 7

Key = Annotated[str, typer.Argument(help="A key as `blocks` shows it: kind, colon, value, @, tenant.")]
Reason = Annotated[str, typer.Option(help="Why you do this; kept with your name.")]
Who = Annotated[str, typer.Option("--by", help="Who you are; your login name without it.")]


@app.command()
def blocks(as_json: AsJson = False) -> None:
    """What is blocked now: since and until when, with which score, and why. What was lifted is marked."""
    told = terminal.settings("kafka", "postgres")

    async def work() -> list[Block]:
        lifted = await lifting.lifts(told.postgres.get_secret_value())
        found = await reading.levels(cluster_of(told))
        return found.blocks(datetime.now(UTC), lifted)

    found = terminal.run(work())
    if as_json:
        terminal.say_json(found, pretty=True)
    elif found:
        terminal.say_table([_row(each) for each in found], ("key", "since", "until", "score", "lifted by", "because"))
    else:
        typer.echo("nothing is blocked")


@app.command()
def explain(
    verification: Annotated[str, typer.Argument(help="The id of a verification.")], as_json: AsJson = False
) -> None:
    """Why the sends of one verification were let through or refused, and what would have let them pass.

    Exits 1 where nothing was said of it: it waits, it is not known, or its topic has dropped it.
    """
    identity = _id(verification)
    told = terminal.settings("kafka")
    found = [explained(each) for each in terminal.run(reading.assessments(cluster_of(told), identity))]
    if not found:
        raise terminal.failed(f"nothing was said of {verification} yet, or otp.assessments has dropped it")
    if as_json:
        terminal.say_json(found, pretty=True)
        return
    for each in found:
        _say(each)


@app.command()
def lift(
    key: Key,
    reason: Reason,
    hours: Annotated[
        float, typer.Option("--hours", min=0.01, max=HOURS_MAX, help="How long nothing said of it counts.")
    ] = 1.0,
    redispatch: Annotated[
        bool, typer.Option("--redispatch", help="Ask again for refused sends of verifications that still live.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take a lift back: what is said of it counts again.")] = False,
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Lift whatever fraud says of KEY, within a second and for some time; the judge begins anew with it.

    A verification that a block ended stays ended: its platform was told so. Exit codes: 0 done, 1 a server is away,
    2 the words typed are wrong.
    """
    by = _by(who, reason)
    feature = _feature(key)
    if undo and redispatch:
        raise typer.BadParameter("--undo takes a lift back; there is nothing to ask again for")
    told = terminal.settings("kafka", "postgres")

    async def work() -> tuple[Lift, int]:
        async with lifting.lifting(cluster_of(told), told.postgres.get_secret_value()) as made:
            if undo:
                return await made.restore(feature, by), 0
            done = await made.lift(feature, by, timedelta(hours=hours))
            return done, await made.ask_again(feature) if redispatch and done.told else 0

    done, again = terminal.run(work())
    if not done.told:
        raise terminal.failed("Kafka did not take it, so nothing is changed; run it again")
    if as_json:
        terminal.say_json({"feature": feature, "until": done.until, "again": again})
        return
    typer.echo(f"{feature}: " + ("counts again" if undo else f"lifted until {shown_time(done.until)}"))
    if redispatch:
        typer.echo(f"sends asked for again: {again}")


@app.command()
def reload(
    file: Annotated[Path | None, typer.Argument(help="A ruleset in JSON or TOML.")] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Put it on trial: its decisions are recorded, and nothing follows.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Take the loaded ruleset back, or with --shadow the trial.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check FILE, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Exchange the rules while everything runs; a ruleset that is none is refused, and the old one stands.

    Exit codes: 0 done, 1 a server is away, 2 the ruleset or the words typed are wrong, with the line and the reason.
    """
    if (file is None) is not drop:
        raise typer.BadParameter("name a FILE, or --drop to take back what was loaded")
    rules = _rules(file)
    role: Role = "shadow" if shadow else "live"
    version = 0
    if not dry_run:
        told = terminal.settings("postgres")
        version = terminal.run(rulesets.load(told.postgres.get_secret_value(), role, rules))
    name = rules.name if rules is not None else ""
    if as_json:
        terminal.say_json({"role": role, "ruleset": name, "version": version, "dry_run": dry_run})
    elif drop:
        typer.echo(f"the {role} ruleset is taken back" if version else f"no {role} ruleset was loaded")
    else:
        typer.echo(f"ruleset {name} is {'well' if dry_run else f'{role} now (version {version})'}")


def _rules(file: Path | None) -> Rules | None:
    """The ruleset in the file. Exits with 2 if it is none."""
    if file is None:
        return None
    try:
        return offline.load_rules(file)
    except offline.RulesetError as error:
        raise terminal.failed(f"{error}; the ruleset in force stays", code=2) from None


def _row(block: Block) -> tuple[str, ...]:
    because = ", ".join(f"{each.code} {each.value:g} of {each.threshold:g}" for each in block.reasons)
    since, until = shown_time(block.since), shown_time(block.until)
    by = "" if block.lifted is None else f"{block.lifted.by} until {shown_time(block.lifted.until)}"
    return block.feature, since, until, f"{block.score:g}", by, because


def _say(told: Explanation) -> None:
    monitored = "" if told.action == told.would else f" (enforce: {told.would})"
    unsaid = ", told to nobody" if told.silent else ""
    typer.echo(f"send {told.send_no}: {told.action}{unsaid}{monitored}, score {told.score}, ruleset {told.ruleset}")
    typer.echo(f"  mode {told.mode}, {told.mode_reason}")
    for reason in told.reasons:
        where = f"  {reason.feature}" if reason.feature else ""
        typer.echo(f"  {reason.weight:>5g}  {reason.code} {reason.value:g} of {reason.threshold:g}{where}")
    if told.passes_if:
        typer.echo("  would pass if " + ", and ".join(told.passes_if) + (f"; or if {told.or_if}" if told.or_if else ""))
    if told.shadow:
        typer.echo(f"  candidate: {told.shadow}")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is not the id of a verification") from None


def _feature(key: str) -> str:
    if kind_of(key) is None or not key.rpartition("@")[2] or "@" not in key:
        raise typer.BadParameter(f"{key} is no key; `watchword fraud blocks` shows them, such as range:+9989012@shop")
    return key


def _by(who: str, reason: str) -> By:
    if not reason.strip():
        raise typer.BadParameter("--reason says why; it cannot be empty")
    return By(who.strip() or getpass.getuser(), reason.strip())
