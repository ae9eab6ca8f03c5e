"""`watchword keys …`: the keyring file made, its keys exchanged and shown."""

import base64
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from watchword.replay.terminal import AsJson, say_json
from watchword.runtime import keyring
from watchword.runtime.clock import WallClock
from watchword.runtime.inbox_seal import public_key
from watchword.runtime.keyring import KeyFacts, Keyring, Purpose

app = typer.Typer(
    help="The keyring: the file that holds every key.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
KeyringPath = Annotated[Path, typer.Argument(help="The keyring file.")]


@app.command("init")
def init(path: KeyringPath, as_json: AsJson = False) -> None:
    """Make a keyring with one key for every purpose. An existing file is left alone."""
    _print_keys(keyring.create(path, WallClock().now()), as_json=as_json)


@app.command("rotate")
def rotate(
    path: KeyringPath,
    purpose: Annotated[
        list[str] | None, typer.Option(help="Only this purpose; may be repeated. Needed for the two naming purposes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add new keys, which open and do not seal yet: start every worker anew, and then `watchword keys promote`."""
    known = {each.value: each for each in keyring.Purpose}
    if unknown := [word for word in purpose or () if word not in known]:
        raise typer.BadParameter(f"{unknown[0]} is not a purpose; there are {', '.join(known)}")
    chosen = [known[word] for word in purpose] if purpose else None
    _print_keys(keyring.rotate(path, WallClock().now(), chosen), as_json=as_json)


@app.command("promote")
def promote(path: KeyringPath, as_json: AsJson = False) -> None:
    """Let new keys seal from the next start of the workers on; the older ones still open."""
    _print_keys(keyring.promote(path), as_json=as_json)


@app.command("list")
def list_keys(path: KeyringPath, as_json: AsJson = False) -> None:
    """What the keyring holds: ids, purposes and ages, never a key."""
    _print_keys(keyring.facts(path), as_json=as_json)


@app.command("public")
def public(path: KeyringPath, as_json: AsJson = False) -> None:
    """The public keys to which platforms seal the numbers they publish: id and base64 of X25519, the newest first."""
    keys = Keyring.load(path, {Purpose.INBOX}).opening(Purpose.INBOX)
    told = [{"id": key.id, "public_key": base64.b64encode(public_key(key)).decode()} for key in keys]
    if as_json:
        say_json(told, pretty=True)
        return
    typer.echo("\n".join(f"{one['id']}  {one['public_key']}" for one in told))


def _print_keys(found: Iterable[KeyFacts], *, as_json: bool) -> None:
    if as_json:
        say_json([asdict(one) for one in found], pretty=True)
        return
    for one in found:
        typer.echo(f"{one.id}  {one.purpose:<13} {one.created_at:%Y-%m-%d %H:%M}  {'seals' if one.seals else 'opens'}")
