"""`watchword dead …`: what could not be carried out, and what becomes of it."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import typer

from watchword.dead import dealing
from watchword.dead.dealing import Action, By
from watchword.dead.letters import (
    DEAD_TOPICS,
    Letter,
    Place,
    chosen,
    grouped,
    letter_of,
    place_of,
    place_text,
    read_letters,
    shown,
)
from watchword.events import topics
from watchword.replay import terminal
from watchword.replay.entry import shown_time
from watchword.replay.progress import Progress
from watchword.replay.reading import Log
from watchword.replay.terminal import AsJson, Since, Until
from watchword.replay.times import moment
from watchword.replay.where import Predicate, WhereError, where
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import cluster_of
from watchword.runtime.publishing import PublishUnknown
from watchword.runtime.settings import RuntimeSettings

app = typer.Typer(
    help="What could not be carried out.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)

LETTERS_MAX = 50_000
RATE_MAX_PER_S = 10_000

Places = Annotated[list[str] | None, typer.Argument(help="Letters by place, as `ls` shows them; none: by the filters.")]
OfTopic = Annotated[str, typer.Option("--topic", help="Only letters from this topic.")]
BuriedFor = Annotated[str, typer.Option(help="Only letters buried for this reason.")]
Where = Annotated[str, typer.Option("--where", help="Only letters for which this holds, such as 'tenant = shop'.")]
Reason = Annotated[str, typer.Option(help="Why you do this; kept with your name.")]
Who = Annotated[str, typer.Option("--by", help="Who you are; your login name without it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which letters it would be, and do nothing.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant."""

    topics: tuple[str, ...] = DEAD_TOPICS
    places: frozenset[Place] = frozenset()
    buried_for: str = ""
    predicate: Predicate | None = None
    since: datetime | None = None
    until: datetime | None = None


@app.command("ls")
def list_(
    topic: OfTopic = "",
    done: Annotated[bool, typer.Option("--done", help="What was done about letters, instead.")] = False,
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """The letters nobody has dealt with, by topic and reason."""
    told = terminal.settings("kafka", "postgres")
    if done:
        _say_actions(terminal.run(_done(told)), as_json=as_json)
        return
    groups = grouped(terminal.run(_letters(told, _choice(topic=topic, since=since, until=until))))
    if as_json:
        terminal.say_json(groups, pretty=True)
    elif groups:
        rows = [
            (g.topic, g.reason, str(g.count), shown_time(g.oldest), shown_time(g.newest), g.example) for g in groups
        ]
        terminal.say_table(rows, ("topic", "reason", "count", "oldest", "newest", "for example"))
    else:
        typer.echo("no dead letters")


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="Where the letter lies, as `ls` shows it.")], as_json: AsJson = False
) -> None:
    """One letter: why it was buried, and its value with numbers and codes masked."""
    told = terminal.settings("kafka", "postgres")
    wanted = _places([place])
    letter, action = terminal.run(_one(told, next(iter(wanted))))
    if letter is None:
        raise terminal.failed(f"there is no letter at {place}: never was, or its topic has dropped it")
    seen = shown(letter) | {"done": None if action is None else _as_json(action)}
    if as_json:
        terminal.say_json(seen, pretty=True)
        return
    for name, value in seen.items():
        typer.echo(f"{name:<13} {shown_time(value) if isinstance(value, datetime) else value}")


@app.command()
def redrive(  # noqa: PLR0913 - a parameter an option
    reason: Reason,
    places: Places = None,
    topic: OfTopic = "",
    buried_for: BuriedFor = "",
    expression: Where = "",
    since: Since = "",
    until: Until = "",
    rate_per_s: Annotated[float, typer.Option("--rate", min=0.1, max=RATE_MAX_PER_S, help="Letters a second.")] = 50,
    who: Who = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send letters again to the topic they came from, under their old event ids."""
    told = terminal.settings("kafka", "postgres")
    by = _by(who, reason)
    letters = _chosen(told, _choice(places, topic, buried_for, expression, since, until))
    fit = [letter for letter in letters if not letter.obstacle]
    _say_left([letter for letter in letters if letter.obstacle])
    if dry_run:
        _say_letters(fit, "would be sent again", as_json=as_json)
        return

    async def work() -> int:
        async with dealing.ledger(told.postgres.get_secret_value()) as kept:
            return await dealing.redrive(cluster_of(told), fit, kept, by, rate_per_s=rate_per_s) if fit else 0

    try:
        sent = terminal.run(work())
    except PublishUnknown as error:
        raise terminal.failed(f"Kafka did not take them all, run it again: {error}") from None
    _say_count(sent, "sent again", as_json=as_json)


@app.command()
def discard(  # noqa: PLR0913 - a parameter an option
    reason: Reason,
    places: Places = None,
    topic: OfTopic = "",
    buried_for: BuriedFor = "",
    expression: Where = "",
    since: Since = "",
    until: Until = "",
    who: Who = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let letters go: nothing will come of them."""
    told = terminal.settings("kafka", "postgres")
    by = _by(who, reason)
    letters = _chosen(told, _choice(places, topic, buried_for, expression, since, until))
    if dry_run:
        _say_letters(letters, "would be discarded", as_json=as_json)
        return

    async def work() -> int:
        async with dealing.ledger(told.postgres.get_secret_value()) as kept:
            return await dealing.discard(letters, kept, by)

    _say_count(terminal.run(work()), "discarded", as_json=as_json)


async def _letters(told: RuntimeSettings, choice: Choice) -> list[Letter]:
    """The letters that are meant and that nobody has dealt with."""
    async with dealing.ledger(told.postgres.get_secret_value()) as kept:
        done = frozenset(action.place for action in await kept.done())
    found: list[Letter] = []
    async with Log(cluster_of(told)) as log:
        slices = await log.slices(choice.topics, since=choice.since, until=choice.until)
        progress = Progress(slices)
        async for letter in read_letters(log, slices, done, told=progress.told):
            if choice.places and letter.place not in choice.places:
                continue
            if chosen(letter, reason=choice.buried_for, predicate=choice.predicate):
                found.append(letter)
            if len(found) >= LETTERS_MAX:
                break
        progress.done()
    return found


async def _one(told: RuntimeSettings, place: Place) -> tuple[Letter | None, Action | None]:
    topic, partition, offset = place
    async with dealing.ledger(told.postgres.get_secret_value()) as kept:
        action = next((each for each in await kept.done() if each.place == place), None)
    async with Log(cluster_of(told)) as log:
        slices = [each for each in await log.slices([topic]) if each.partition == partition]
        cut = [replace(each, start=offset, end=offset + 1) for each in slices if each.start <= offset < each.end]
        async for records in log.read(cut):
            return letter_of(records[0], topic), action
    return None, action


async def _done(told: RuntimeSettings) -> list[Action]:
    async with dealing.ledger(told.postgres.get_secret_value()) as kept:
        return await kept.done()


def _chosen(told: RuntimeSettings, choice: Choice) -> list[Letter]:
    if choice == Choice():
        raise typer.BadParameter(
            "say which letters: by place, --topic, --buried-for, --where, --from or --to; all of them are --from 30d"
        )
    return terminal.run(_letters(told, choice))


def _choice(
    places: Sequence[str] | None = None,
    topic: str = "",
    buried_for: str = "",
    expression: str = "",
    since: str = "",
    until: str = "",
) -> Choice:
    now = WallClock().now()
    wanted = _places(places or ())
    try:
        return Choice(
            topics=tuple(sorted({name for name, _, _ in wanted})) if wanted else _topics(topic),
            places=wanted,
            buried_for=buried_for,
            predicate=where(expression) if expression else None,
            since=moment(since, now) if since else None,
            until=moment(until, now) if until else None,
        )
    except (WhereError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def _places(texts: Sequence[str]) -> frozenset[Place]:
    try:
        return frozenset(place_of(text) for text in texts)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _topics(name: str) -> tuple[str, ...]:
    if not name:
        return DEAD_TOPICS
    alive = name.removesuffix(".dead")
    for topic in topics.ALL:
        if alive in (topic, topic.removesuffix(".v1"), topic.removesuffix(".v1").removeprefix("otp.")):
            return (topics.dead(topic),)
    raise typer.BadParameter(f"{name} is not a topic; there are {', '.join(topics.ALL)}")


def _by(who: str, reason: str) -> By:
    if not reason.strip():
        raise typer.BadParameter("--reason says why; it cannot be empty")
    return By(who.strip() or getpass.getuser(), reason.strip())


def _say_left(letters: Sequence[Letter]) -> None:
    for letter in letters:
        typer.echo(f"left where it is: {place_text(letter.place)}, {letter.obstacle}", err=True)


def _say_letters(letters: Sequence[Letter], what: str, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json({"letters": [shown(letter) for letter in letters]}, pretty=True)
        return
    for letter in letters:
        typer.echo(f"{place_text(letter.place)}  {letter.entry.name}  {letter.reason}")
    typer.echo(f"{len(letters)} {what}; nothing was done")


def _say_count(count: int, what: str, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json({"count": count, "what": what})
    else:
        typer.echo(f"{count} {what}")


def _say_actions(actions: Sequence[Action], *, as_json: bool) -> None:
    if as_json:
        terminal.say_json([_as_json(action) for action in actions], pretty=True)
        return
    rows = [(place_text(a.place), a.action, a.done_by, shown_time(a.done_at), a.reason) for a in actions]
    terminal.say_table(rows, ("letter", "action", "by", "at", "reason"))


def _as_json(action: Action) -> dict[str, Any]:
    return {
        "place": place_text(action.place),
        "action": action.action,
        "reason": action.reason,
        "done_by": action.done_by,
        "done_at": action.done_at,
    }
