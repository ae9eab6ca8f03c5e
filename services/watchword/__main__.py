"""`watchword …`: the command line. Commands import what they need when they run, so that help is quick.

Exit codes: 0 done, 1 it failed, 2 the settings, the configuration or the words typed are wrong.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from watchword.local.kafka import Kind
    from watchword.runtime.settings import RuntimeSettings

app = typer.Typer(
    name="watchword",
    help="Phone verification by one-time codes over Kafka and Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="The settings of this machine.", no_args_is_help=True)
schemas_app = typer.Typer(help="The events as a public contract.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(schemas_app, name="schemas")

# Operators' tools: their commands are in a module each, read when they are called.
TOOLS = {
    "keys": ("watchword.operations.keys", "The keyring: the file that holds every key."),
    "replay": ("watchword.replay.commands", "Read the topics back: timelines, searches, the state rebuilt."),
    "dead": ("watchword.dead.commands", "Dead letters: look, send again, discard."),
    "erase": ("watchword.erasure.commands", "A person is forgotten: the data key of one number is deleted."),
    "audit": ("watchword.audit.commands", "Whether every promise is kept, from tables and topics; exits 1 if not."),
    "doctor": ("watchword.operations.doctor", "Whether everything is in its place, and what mends what is not."),
    "top": ("watchword.operations.top", "How every stage and account fares, drawn anew every second."),
    "gateways": (
        "watchword.accounts.commands",
        "Providers: what there is, accounts checked, a test message, a new one.",
    ),
    "fraud": ("watchword.operations.fraud", "Fraud: what is blocked and why, lift, new rules; score a recording."),
    "callbacks": ("watchword.callbacks.commands", "Deliveries to the endpoints of tenants: send again."),
    "receipts": ("watchword.receipts.commands", "Delivery reports in words that no map has: list, read again."),
    "routes": ("watchword.operations.routes", "Which accounts serve a number, in which order, and why."),
    "blueprint": ("watchword.blueprint.commands", "deploy/, made from the map; first secrets of an installation."),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """The entry point of the `watchword` command. Answers go to stdout and nothing else does."""
    from watchword.runtime import logs

    logs.configure(level="warning")
    try:
        app()
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        code, words = told
        print("\n".join(f"watchword: {line}" for line in words.splitlines()), file=sys.stderr)
        sys.exit(code)


def _told(error: Exception) -> tuple[int, str] | None:
    """Exit code and words for a failure that is foreseen; None for a bug, which shows its traceback."""
    import asyncpg
    from aiokafka.errors import KafkaError

    from watchword.operations import refusals
    from watchword.runtime.configuration_file import ConfigurationError
    from watchword.runtime.keyring import KeyringError
    from watchword.runtime.migrations import MigrationError
    from watchword.runtime.settings import SettingsError

    if isinstance(error, SettingsError | ConfigurationError | KeyringError):
        return 2, str(error)
    if isinstance(error, MigrationError):
        return 1, str(error)
    if isinstance(error, asyncpg.UndefinedTableError):
        return 1, "the database has no schema yet: `watchword migrate`"
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        wrong, mends = refusals.of_postgres(error)
        return 1, f"Postgres {wrong}\nfix: {mends}"
    if isinstance(error, OSError | KafkaError):
        return 1, f"{type(error).__name__}: {error}"
    return None


def _settings() -> "RuntimeSettings":
    """The runtime's settings, with logging set up as they say."""
    from watchword.runtime import logs
    from watchword.runtime.settings import load_runtime

    settings = load_runtime()
    logs.configure(level=settings.log_level, style=settings.log_format)
    return settings


def _print_json(value: Any) -> None:
    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))


# Configuration ---------------------------------------------------------------------------------------------------


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A TOML file; deploy/CONFIGURATION.md says what may be in it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Retire documents that are not in the file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the configuration what FILE says. New API keys are printed once and kept nowhere."""
    import asyncio

    from watchword.gateways.catalog import ALL
    from watchword.runtime import apply as applying
    from watchword.runtime.keyring import Keyring, Purpose

    settings = _settings()
    settings.need("postgres", "keyring")
    keyring = Keyring.load(settings.keyring, {Purpose.ACCOUNT, Purpose.ENDPOINT})
    dsn = settings.postgres.get_secret_value()
    done = asyncio.run(
        applying.apply(dsn, file, keyring=keyring, gateways=frozenset(ALL), dry_run=dry_run, prune=prune)
    )
    if as_json:
        _print_json(done)
        return
    for change in done.changes:
        print(
            f"{change.action:<10} {change.kind:<9} {change.id}"
            + (f" (version {change.version})" if change.version else "")
        )
    for warning in done.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for made in done.new_keys:
        print(f"API key {made.tenant}/{made.name}, shown this once: {made.key}")
    if dry_run:
        print("dry run: nothing was changed")


@config_app.command("explain")
def explain(as_json: AsJson = False) -> None:
    """Every setting: its value (secrets masked), where it came from, what it is."""
    from dataclasses import asdict

    from watchword.runtime.settings import worker_settings

    told = _settings().explain()
    for cls in worker_settings():
        told += cls.load().explain()
    if as_json:
        _print_json([asdict(one) for one in told])
        return
    width = max(len(one.name) for one in told)
    for one in told:
        print(f"{one.name:<{width}}  {one.value or '-'}  [{one.source}]  {one.help}")


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the schema of this version."""
    import asyncio

    from watchword.runtime import migrations

    settings = _settings()
    settings.need("postgres")
    applied = asyncio.run(migrations.migrate(settings.postgres.get_secret_value()))
    if as_json:
        _print_json({"applied": applied})
        return
    print("\n".join(f"applied {name}" for name in applied) or "nothing to do")


# Running ---------------------------------------------------------------------------------------------------------


Kafka = Annotated[str, typer.Option(help="apache, wheel, or auto: Apache Kafka where Java 17 and Maven are found.")]


@app.command()
def run(
    workers: Annotated[str, typer.Argument(help="One worker, or several separated by commas, in one process.")],
    ordinal: Annotated[int, typer.Option(help="Number of this process among its like; names its group member.")] = -1,
) -> None:
    """Run workers until SIGTERM: what is in flight is finished, then it ends."""
    from watchword.runtime import process

    settings = _settings()
    if ordinal >= 0:
        settings = settings.model_copy(update={"ordinal": ordinal})
    process.run(settings, workers)


@app.command()
def up(
    kafka: Kafka = "auto",
    directory: Annotated[Path, typer.Option(help="Where data, keys and logs are kept.")] = Path(".watchword"),
    http_port: Annotated[int, typer.Option(help="Port of the public API.")] = 8080,
    configuration: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Tenants, accounts and routes to begin with; ${simulator} and ${smpp}"
            " stand for the carrier simulator. Without it the demo's.",
        ),
    ] = None,
) -> None:
    """Everything on this machine, workers restarted when they end, until Ctrl-C."""
    from rich.console import Console

    from watchword.local import commands

    sys.exit(
        commands.up(Console(), directory=directory, kind=_kind(kafka), http_port=http_port, configuration=configuration)
    )


@app.command()
def demo(
    kafka: Kafka = "auto",
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs of the run.")] = False,
) -> None:
    """A narrated run of everything that ends by itself; fails if anything is not as told."""
    from rich.console import Console

    from watchword.local import commands

    sys.exit(commands.demo(Console(), kind=_kind(kafka), keep=keep))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def simulator(context: typer.Context) -> None:
    """Seeded carriers and phones over HTTP, for a laptop and for tests."""
    from watchword.simulator.__main__ import main as serve

    serve(context.args)


@app.command()
def topics(as_json: AsJson = False) -> None:
    """Create the topics that are missing, as schemas/topics.yaml tells them."""
    import asyncio

    from watchword.runtime.kafka import cluster_of
    from watchword.runtime.topics import create_topics

    settings = _settings()
    settings.need("kafka")
    production = settings.partitions == "production"
    created = asyncio.run(
        create_topics(cluster_of(settings), production=production, replication=3 if production else 1)
    )
    if as_json:
        _print_json({"created": created})
        return
    print("\n".join(f"created {name}" for name in created) or "nothing to do")


def _kind(word: str) -> "Kind":
    from watchword.local.kafka import Kind

    try:
        return Kind(word)
    except ValueError:
        raise typer.BadParameter(f"{word} is not a broker; there are {', '.join(Kind)}") from None


# Operators' tools ------------------------------------------------------------------------------------------------


def _add_tool(name: str, module: str, words: str) -> None:
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(name, help=words, context_settings=passed_on, add_help_option=False)
    def tool(context: typer.Context) -> None:
        importlib.import_module(module).app(args=context.args, prog_name=f"watchword {name}")


for _name, (_module, _words) in TOOLS.items():
    _add_tool(_name, _module, _words)


# Events ----------------------------------------------------------------------------------------------------------


@schemas_app.command("check")
def schemas_check(as_json: AsJson = False) -> None:
    """Whether every event can still be read by everyone: schemas, examples, versions, the lock."""
    from watchword.contracts import check
    from watchword.contracts.folder import root

    problems = [str(problem) for problem in check.problems(root())]
    if as_json:
        _print_json({"problems": problems})
    else:
        print("\n".join(problems) or "every published version stays readable")
    if problems:
        sys.exit(1)


@schemas_app.command("lock")
def schemas_lock() -> None:
    """Publish new schema files: their digests are recorded, and from then on they never change."""
    from watchword.contracts import lock
    from watchword.contracts.folder import root

    print("\n".join(f"published {name}" for name in lock.publish(root())) or "nothing to do")


@schemas_app.command("dictionary")
def schemas_dictionary() -> None:
    """Write schemas/DICTIONARY.md anew from the schemas."""
    from watchword.contracts import dictionary
    from watchword.contracts.folder import root

    dictionary.write(root())
    print("schemas/DICTIONARY.md is written")


if __name__ == "__main__":
    main()
