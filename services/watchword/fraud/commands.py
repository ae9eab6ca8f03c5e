"""`watchword fraud …`: what operators and analysts ask of fraud."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fraud scoring.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

MODES = ("enforce", "monitor")
TOLD_MAX = 100


@app.callback()
def fraud() -> None:
    """Fraud scoring."""


@app.command()
def score(
    source: Annotated[Path, typer.Option("--in", help="The recorded stream, a JSON object a line; - for stdin.")],
    sink: Annotated[Path, typer.Option("--out", help="Where decisions go, a JSON object a request; - for stdout.")],
    ruleset: Annotated[
        Path | None, typer.Option(help="A ruleset in JSON or TOML; left out, the published one.")
    ] = None,
    mode: Annotated[str, typer.Option(help="enforce: refused sends never happened; monitor: all did.")] = "enforce",
    networks: Annotated[Path | None, typer.Option(help="Whose networks are whose, a CIDR,ASN a line.")] = None,
    as_live: Annotated[
        bool,
        typer.Option("--as-live", help="Levels come into force half a second late, as from another process."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a line had to be skipped.")] = False,
) -> None:
    """Score a recorded stream alone, without Kafka or Postgres, in order of time.

    Exit codes: 0 done (lines that cannot be read are named on stderr, skipped and counted), 1 a file cannot be read
    or written, or with --strict a line was skipped, 2 the ruleset, the networks or the words typed are wrong.
    """
    from watchword.fraud import networks_file, offline
    from watchword.fraud.decide.recording import Recording

    if mode not in MODES:
        raise typer.BadParameter(f"{mode} is not a mode; there are {', '.join(MODES)}")
    try:
        rules = offline.load_rules(ruleset)
        owners = networks_file.load(networks) if networks else None
    except (offline.RulesetError, networks_file.NetworksError) as error:
        typer.echo(f"watchword: {error}", err=True)
        raise typer.Exit(2) from None
    tally = offline.Tally()
    recording = Recording(rules, enforces=mode == "enforce", owners=owners, as_live=as_live)
    with offline.opened(source, "rb") as reading, offline.opened(sink, "wb") as writing:
        for skipped in offline.score_file(reading, writing, recording, tally):
            if tally.skipped <= TOLD_MAX:
                typer.echo(f"line {skipped.number}: {skipped.reason}", err=True)
    actions = ", ".join(f"{count} {action}" for action, count in sorted(tally.by_action.items())) or "none"
    typer.echo(
        f"{tally.requests} requests ({actions}), {tally.lines} lines, {tally.skipped} skipped, "
        f"{recording.ignored} without effect, ruleset {rules.name}",
        err=True,
    )
    if strict and tally.skipped:
        raise typer.Exit(1)
