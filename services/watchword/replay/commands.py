"""`watchword replay …`: looks at what the topics hold. It can write to no topic and call no carrier."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from watchword.events import topics
from watchword.replay import saying, terminal
from watchword.replay.entry import Entry, document, entry_of
from watchword.replay.fold import TooMany
from watchword.replay.folding import Order, TooLongAgo, carry_out, planned
from watchword.replay.progress import Progress
from watchword.replay.reading import Log, Slice
from watchword.replay.sinks import Sink, SinkError, sink_of
from watchword.replay.terminal import AsJson, DryRun, Since, Tenant, Topics, Until, Where
from watchword.replay.timeline import Timeline, entries_of, slices_of, timeline
from watchword.replay.times import moment
from watchword.replay.where import Predicate, WhereError, where
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import Cluster, cluster_of

NARROWER = "narrow it with --from, --as-of or --tenant"
app = typer.Typer(
    help="Read the topics back.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)


@app.command()
def show(
    verification: Annotated[str, typer.Argument(help="The verification's id.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """One verification's whole life, from every topic that tells of it."""
    try:
        identity = UUID(verification)
    except ValueError:
        raise typer.BadParameter(f"{verification!r} is no verification id") from None

    async def work() -> Timeline | list[Slice]:
        async with Log(_cluster()) as log:
            return await slices_of(log, identity) if dry_run else timeline(await entries_of(log, identity))

    told = terminal.run(work())
    if isinstance(told, list):
        saying.say_slices(told, as_json=as_json)
    elif not told.moments and not told.unreadable:
        raise terminal.failed("no topic tells of it: another cluster, or longer ago than the topics are kept")
    else:
        saying.say_timeline(told, as_json=as_json)


@app.command()
def tail(
    expression: Where = "",
    topic: Topics = None,
    tenant: Tenant = "",
    since: Since = "now",
    as_json: AsJson = False,
) -> None:
    """Events as they come, until Ctrl-C; with --from, those since then before them."""
    keeps = _keeps(expression, tenant)
    began = _moment(since)

    async def work() -> None:
        async with Log(_cluster()) as log:
            slices = await log.slices(_topics(topic), since=began)
            async for entry in _entries(log, slices, follow=True):
                if keeps(document(entry)):
                    saying.say_entry(entry, as_json=as_json)

    terminal.run(work(), interrupted=0)


@app.command()
def grep(
    expression: Where = "",
    topic: Topics = None,
    tenant: Tenant = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, help="Stop after this many.")] = 1_000_000,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Every event for which an expression holds; exits 1 if there is none."""
    keeps = _keeps(expression, tenant)
    began, ended = _moment(since), _moment(until)

    async def work() -> tuple[int, int] | list[Slice]:
        async with Log(_cluster()) as log:
            slices = await log.slices(_topics(topic), since=began, until=ended)
            if dry_run:
                return slices
            found = looked_at = 0
            async for entry in _entries(log, slices):
                looked_at += 1
                if keeps(document(entry)):
                    saying.say_entry(entry, as_json=as_json)
                    found += 1
                    if found >= limit:
                        break
            return found, looked_at

    told = terminal.run(work())
    if isinstance(told, list):
        saying.say_slices(told, as_json=as_json)
    elif not told[0]:
        raise terminal.failed(f"none of {told[1]:,} records; `--dry-run` says which topics are read, and from where")


@app.command()
def fold(
    into: Annotated[str, typer.Option(help="sqlite:PATH, or postgres:postgresql://…/database/new_schema.")] = "",
    as_of: Annotated[str, typer.Option(help="The state at this moment; the present without it.")] = "",
    with_live: Annotated[
        bool, typer.Option("--compare", help="Hold it against the live tables; exits 1 if they differ.")
    ] = False,
    since: Since = "",
    tenant: Tenant = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """The tables rebuilt from the topics and from nothing else."""
    sink = _sink(into)
    if with_live and as_of not in ("", "now"):
        raise typer.BadParameter("--compare looks at the tables as they are now: leave --as-of out, or say now")
    if not (sink or with_live or dry_run):
        raise typer.BadParameter("say where the rows go with --into, or --compare them")
    told = terminal.settings(*(("kafka", "postgres") if with_live else ("kafka",)))
    order = Order(
        cluster=cluster_of(told),
        dsn=told.postgres.get_secret_value() if with_live else "",
        as_of=None if as_of == "now" else _moment(as_of),
        since=_moment(since),
        tenant=tenant,
        sink=sink,
    )
    if dry_run:
        saying.say_slices(terminal.run(planned(order)), as_json=as_json)
        return
    try:
        outcome = terminal.run(carry_out(order, WallClock().now()))
    except (SinkError, TooLongAgo) as error:
        raise terminal.failed(str(error)) from None
    except TooMany as error:
        raise terminal.failed(f"{error}: {NARROWER}") from None
    saying.say_fold(outcome, as_json=as_json)
    if outcome.comparison is not None and outcome.comparison.differences:
        raise typer.Exit(1)


async def _entries(log: Log, slices: list[Slice], *, follow: bool = False) -> AsyncIterator[Entry]:
    progress = Progress(slices)
    async for records in log.read(slices, told=progress.told):
        for record in records:
            yield entry_of(record, log.plain(record))
    progress.done()
    if follow:
        async for records in log.follow(slices):
            for record in records:
                yield entry_of(record, log.plain(record))


def _keeps(expression: str, tenant: str) -> Predicate:
    try:
        asked = where(expression) if expression.strip() else None
    except WhereError as error:
        raise typer.BadParameter(str(error)) from None
    return lambda told: (not tenant or told["tenant"] == tenant) and (asked is None or asked(told))


def _topics(names: list[str] | None) -> list[str]:
    known = [*topics.ALL, *(topics.dead(topic) for topic in topics.ALL)]
    if not names:
        return list(topics.ALL)
    spelled = {
        spelling: name
        for name in known
        for spelling in (name, name.replace(".v1", ""), name.replace(".v1", "").removeprefix("otp."))
    }
    if unknown := [name for name in names if name not in spelled]:
        raise typer.BadParameter(f"{unknown[0]} is not a topic; there are {', '.join(topics.ALL)}, each with .dead")
    return [spelled[name] for name in names]


def _moment(text: str) -> datetime | None:
    try:
        return moment(text, WallClock().now()) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _sink(text: str) -> Sink | None:
    try:
        return sink_of(text) if text else None
    except SinkError as error:
        raise typer.BadParameter(str(error)) from None


def _cluster() -> Cluster:
    return cluster_of(terminal.settings("kafka"))
