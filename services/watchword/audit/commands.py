"""`watchword audit`: whether every promise is kept; exits 1 and names what shows it if one is not."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from watchword.audit.checks import CHECKS, audit
from watchword.audit.facts import Finding
from watchword.audit.gather import LedgerError, Order, gather
from watchword.audit.sightings import Canaries, CanaryError, canaries
from watchword.replay import terminal
from watchword.replay.fold import TooMany
from watchword.replay.terminal import AsJson
from watchword.replay.times import moment
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import cluster_of

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

BREACHES_SHOWN = 20
BREACHES_IN_JSON_MAX = 10_000
CANARY_BYTES_MAX = 4 * 1024 * 1024
NARROWER = "narrow it with --since"
_WORDS = {True: "kept", None: "kept in part"}


@app.command()
def run(
    since: Annotated[str, typer.Option(help="Only what began since then: 1h (ago), or 2026-01-31T12:00Z.")] = "",
    only: Annotated[str, typer.Option(help="Only these checks, such as A3,A6.")] = "",
    grace_s: Annotated[float, typer.Option("--grace", min=0, help="How many seconds late is not late yet.")] = 30,
    at_rest: Annotated[bool, typer.Option("--at-rest", help="Nothing is under way: hold A9 to the letter.")] = False,
    canary: Annotated[
        Path | None, typer.Option(help="A file of numbers, or verification ids with their code, to look for (A8).")
    ] = None,
    carrier_ledger: Annotated[str, typer.Option(help="Address of the carrier simulator, to count what was sent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Hold tables and topics to every promise. Reads alone, under the role watchword_audit."""
    chosen = _checks(only)
    watched = Canaries() if canary is None else _canaries(canary)
    try:
        since_at = moment(since, WallClock().now()) if since else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    told = terminal.settings("kafka", "postgres")
    order = Order(
        cluster=cluster_of(told),
        dsn=told.postgres.get_secret_value(),
        since=since_at,
        grace=timedelta(seconds=grace_s),
        at_rest=at_rest,
        canaries=watched,
        ledger_url=carrier_ledger,
    )
    try:
        findings = audit(terminal.run(gather(order)), chosen)
    except LedgerError as error:
        raise terminal.failed(str(error)) from None
    except TooMany as error:
        raise terminal.failed(f"{error}: {NARROWER}") from None
    _say(findings, as_json=as_json)
    if any(finding.breaches for finding in findings):
        raise typer.Exit(1)


def _say(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        checks = [
            {
                "check": each.check,
                "promise": each.promise,
                "kept": each.kept,
                "breaches": each.breaches[:BREACHES_IN_JSON_MAX],
                "breaches_total": len(each.breaches),
                "notes": each.notes,
                "unseen": each.unseen,
            }
            for each in findings
        ]
        clean = not any(each.breaches for each in findings)
        whole = not any(each.unseen for each in findings)
        terminal.say_json({"clean": clean, "whole": whole, "checks": checks}, pretty=True)
        return
    for each in findings:
        _say_finding(each)
    typer.echo(_conclusion(findings))


def _say_finding(each: Finding) -> None:
    word = f"BROKEN ({len(each.breaches)})" if each.breaches else _WORDS[each.kept]
    typer.echo(f"{each.check:<4} {word:<12} {each.promise}")
    for what in each.unseen:
        typer.echo(f"       not looked at: {what}")
    for note in each.notes:
        typer.echo(f"       {note}")
    for breach in each.breaches[:BREACHES_SHOWN]:
        typer.echo(f"     ! {breach.id}: {breach.told}")
    if len(each.breaches) > BREACHES_SHOWN:
        typer.echo(f"     … and {len(each.breaches) - BREACHES_SHOWN} more; --json tells all")


def _conclusion(findings: list[Finding]) -> str:
    if any(each.breaches for each in findings):
        return "not clean"
    parts = ", ".join(each.check for each in findings if each.unseen)
    return f"clean as far as it could look; in part: {parts}" if parts else "clean"


def _checks(only: str) -> list[str]:
    names = [word.strip().upper() for word in only.split(",") if word.strip()]
    if unknown := [name for name in names if name not in CHECKS]:
        raise typer.BadParameter(f"there is no check {unknown[0]}; there are {', '.join(CHECKS)}")
    return names


def _canaries(path: Path) -> Canaries:
    try:
        if path.stat().st_size > CANARY_BYTES_MAX:
            raise typer.BadParameter(f"{path} is larger than {CANARY_BYTES_MAX} bytes")
        return canaries(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError, CanaryError) as error:
        raise typer.BadParameter(f"{path}: {error}") from None
