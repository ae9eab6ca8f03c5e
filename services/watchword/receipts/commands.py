"""`watchword receipts …`: reports in words and codes that nobody has mapped."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watchword.receipts.remapping import Remapped, Unmapped

app = typer.Typer(help="Delivery reports in words or codes that no gateway map has.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def unmapped(as_json: AsJson = False) -> None:
    """What carriers said in the last week that no map has, the most frequent first.

    A word without a state, or word/code where the state is known and the reason is not.
    """
    import asyncio

    found = asyncio.run(_unmapped())
    if as_json:
        _say_json(found)
        return
    for one in found:
        typer.echo(f"{one.reports:>7}  {one.gateway}/{one.account}  {one.raw_code}  last {one.last_at:%Y-%m-%d %H:%M}Z")
    if not found:
        typer.echo("every word and code of every carrier is known")


@app.command()
def remap(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read what is kept again, after the map was mended: gateway.toml, or the account's options by `watchword apply`.

    Running it twice changes nothing more.
    """
    import asyncio

    told = asyncio.run(_remap(dry_run=dry_run))
    if as_json:
        _say_json(told)
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(told.by_state.items())) or "none"
    typer.echo(f"reports that are understood now: {states}")
    typer.echo(f"attempts that {'would be' if dry_run else 'are'} better known: {told.raised}")
    typer.echo(f"still not understood: {told.still_unmapped}")


async def _unmapped() -> "list[Unmapped]":
    from watchword.receipts import remapping
    from watchword.runtime.postgres import connect
    from watchword.runtime.settings import load_runtime

    settings = load_runtime()
    settings.need("postgres")
    pool = await connect(settings.postgres.get_secret_value(), worker="receipts", connections_max=1)
    try:
        return await remapping.unmapped(pool)
    finally:
        await pool.close()


async def _remap(*, dry_run: bool) -> "Remapped":
    from watchword.receipts import remapping
    from watchword.receipts.worker import KEYS
    from watchword.runtime.clock import WallClock
    from watchword.runtime.configuration import ConfigurationWatch
    from watchword.runtime.keyring import Keyring
    from watchword.runtime.postgres import connect
    from watchword.runtime.settings import load_runtime

    settings = load_runtime()
    settings.need("postgres", "keyring")
    keyring = Keyring.load(settings.keyring, KEYS)
    pool = await connect(settings.postgres.get_secret_value(), worker="receipts", connections_max=1)
    try:
        watch = ConfigurationWatch(pool, keyring)
        await watch.refresh()
        return await remapping.remap(pool, watch.current(), keyring, WallClock(), dry_run=dry_run)
    finally:
        await pool.close()


def _say_json(told: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
