"""`watchword callbacks …`: what operators do to deliveries."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from watchword.callbacks.redelivery import Redelivered, Span

app = typer.Typer(help="Deliveries to the endpoints of tenants.", no_args_is_help=True)


@app.callback()
def callbacks() -> None:
    """Deliveries to the endpoints of tenants."""


@app.command()
def redeliver(
    event: Annotated[str, typer.Option(help="The id of one event: its webhook-id.")] = "",
    endpoint: Annotated[str, typer.Option(help="An endpoint as tenant/endpoint, with --from and --to.")] = "",
    since: Annotated[str, typer.Option("--from", help="First moment, such as 2026-03-02T09:00:00Z.")] = "",
    until: Annotated[str, typer.Option("--to", help="First moment no longer wanted.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go out, and send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Deliver again, under the same webhook-id: one event, or all of an endpoint's in a span of time.

    An endpoint that is disabled gets nothing until its document is applied anew.
    """
    import asyncio

    import msgspec

    wanted = _wanted(event, endpoint, since, until)
    told = asyncio.run(_redeliver(wanted, dry_run=dry_run))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
        return
    found = ", ".join(f"{count} {state}" for state, count in sorted(told.found.items())) or "none"
    typer.echo(f"deliveries found: {found}")
    typer.echo(f"{'would be' if dry_run else 'are'} delivered again: {told.again}")


async def _redeliver(wanted: "UUID | Span", *, dry_run: bool) -> "Redelivered":
    from watchword.callbacks import redelivery
    from watchword.runtime.postgres import connect
    from watchword.runtime.settings import load_runtime

    settings = load_runtime()
    settings.need("postgres")
    pool = await connect(settings.postgres.get_secret_value(), worker="callbacks", connections_max=1)
    try:
        if isinstance(wanted, UUID):
            return await redelivery.redeliver_event(pool, wanted, dry_run=dry_run)
        return await redelivery.redeliver_span(pool, wanted, dry_run=dry_run)
    finally:
        await pool.close()


def _wanted(event: str, endpoint: str, since: str, until: str) -> "UUID | Span":
    """What the options name. Raises typer.BadParameter."""
    from watchword.callbacks.redelivery import Span

    if bool(event) == bool(endpoint):
        raise typer.BadParameter("name either --event, or --endpoint with --from and --to")
    if event:
        try:
            return UUID(event)
        except ValueError:
            raise typer.BadParameter(f"{event} is not an event id") from None
    tenant, slash, name = endpoint.partition("/")
    if not (tenant and slash and name):
        raise typer.BadParameter("an endpoint is written tenant/endpoint")
    return Span(tenant, name, _moment("--from", since), _moment("--to", until))


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} is a time such as 2026-03-02T09:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{option} needs a time zone, such as the Z in 2026-03-02T09:00:00Z")
    return moment
