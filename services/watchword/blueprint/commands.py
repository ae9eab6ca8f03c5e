"""`watchword blueprint …`: write deploy/ from the map, check that it is what the map says, draw first secrets."""

import secrets as random_source
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="deploy/, made from the map.", no_args_is_help=True, add_completion=False)
Root = Annotated[Path, typer.Option(help="The repository.")]
_PASSWORD_BYTES = 24
_READABLE_BY_GROUP = 0o640
_FOLDER_MODE = 0o750


@app.command()
def write(root: Root = Path()) -> None:
    """Write what differs from the map; says what it wrote."""
    from watchword.blueprint import outputs

    changed = outputs.write(root)
    typer.echo("\n".join(f"wrote {path}" for path in changed) or "nothing to do")


@app.command()
def check(root: Root = Path()) -> None:
    """Whether deploy/ says what the map says; exits 1 with the files that do not."""
    from watchword.blueprint import outputs

    if stale := outputs.stale(root):
        typer.echo("\n".join(f"{path} is not what the map says: `make flow`" for path in stale), err=True)
        sys.exit(1)


@app.command("secrets")
def first_secrets(
    keyring: Annotated[Path, typer.Argument(help="The whole keyring, made by `watchword keys init`.")],
    directory: Annotated[Path, typer.Argument(help="Where the files go; must not be there yet.")],
    database: Annotated[str, typer.Option(help="host:port/name of Postgres.")] = "postgres:5432/watchword",
) -> None:
    """Draw the first secrets of an installation: one folder a process, and the passwords of its logins."""
    from watchword.blueprint.secrets import first_secrets as made

    if directory.exists():
        raise typer.BadParameter(f"{directory} is there already: drawn secrets would lock out who uses the old ones")
    files = made(keyring.read_text("utf-8"), draw=lambda: random_source.token_hex(_PASSWORD_BYTES), database=database)
    _write(directory, files)
    typer.echo(f"{len(files)} files in {directory}")


@app.command("keyrings")
def split_keyring(
    keyring: Annotated[Path, typer.Argument(help="The whole keyring.")],
    directory: Annotated[Path, typer.Argument(help="The folder of secrets to renew.")],
) -> None:
    """Renew each process's part of the keyring, after `watchword keys rotate`."""
    from watchword.blueprint.environment import KEYRING_FILE
    from watchword.blueprint.secrets import keyrings

    made = {f"{name}/{KEYRING_FILE}": text for name, text in keyrings(keyring.read_text("utf-8")).items()}
    _write(directory, made)
    typer.echo(f"{len(made)} keyrings in {directory}")


def _write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        path.touch(mode=_READABLE_BY_GROUP)
        path.chmod(_READABLE_BY_GROUP)
        path.write_text(text, "utf-8")
