"""How what was read is told on a terminal, or to a program."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import typer

from watchword.replay import terminal
from watchword.replay.compare import Comparison
from watchword.replay.entry import Entry, masked_text, shown, shown_time
from watchword.replay.folding import Outcome
from watchword.replay.reading import Slice
from watchword.replay.timeline import Moment, Timeline, gist

LINES_MAX = 50


def say_slices(slices: Sequence[Slice], *, as_json: bool) -> None:
    """What would be read."""
    if as_json:
        terminal.say_json(
            [
                {"topic": s.topic, "partition": s.partition, "from": s.start, "to": s.end, "count": s.count}
                for s in slices
            ]
        )
        return
    rows = [(s.topic, str(s.partition), str(s.start), str(s.end), f"{s.count:,}") for s in slices]
    terminal.say_table(rows, ("topic", "partition", "from", "to", "count"))
    typer.echo(f"{sum(s.count for s in slices):,} records in {len(slices)} partitions; nothing was read")


def say_fold(outcome: Outcome, *, as_json: bool) -> None:
    """What a fold came to."""
    if as_json:
        terminal.say_json(outcome, pretty=True)
        return
    states = ", ".join(f"{count:,} {state}" for state, count in outcome.states.items())
    typer.echo(f"{outcome.verifications:,} verifications ({states or 'none'}) and {outcome.attempts:,} attempts")
    typer.echo(f"from {outcome.read:,} records, as of {outcome.as_of}")
    if outcome.with_gaps:
        typer.echo(f"{outcome.with_gaps:,} have gaps: a topic keeps less than others, or --from cut them")
    for line in outcome.illegal[:LINES_MAX]:
        typer.echo(f"not allowed: {line}")
    if outcome.comparison is not None:
        say_comparison(outcome.comparison)


def say_comparison(told: Comparison) -> None:
    """Every difference, up to a screenful, and a line that sums up."""
    for each in told.differences[:LINES_MAX]:
        typer.echo(f"{each.row} {each.id} {each.column}: folded {each.folded}, live {each.live}")
    notes = (
        (len(told.waiting), "wait for the outbox"),
        (told.beyond, "are older than the topics"),
        (told.untold_checks, "checks were counted and are not told"),
    )
    said = [f"{told.compared:,} compared, {len(told.differences):,} differences"]
    typer.echo("; ".join(said + [f"{count:,} {what}" for count, what in notes if count]))


def say_timeline(told: Timeline, *, as_json: bool) -> None:
    """A timeline, with a line for every number that nobody told."""
    if as_json:
        moments = [
            {**shown(each.entry), "repeats": each.repeats, "waited_ms": _ms(each.waited)} for each in told.moments
        ]
        unreadable = [shown(each) for each in told.unreadable]
        terminal.say_json({"moments": moments, "gaps": told.gaps, "unreadable": unreadable}, pretty=True)
        return
    terminal.say_table(_lines(told), ("seq", "after", "since last", "to topic", "event", "place", "what it says"))
    for entry in told.unreadable:
        typer.echo(f"unreadable at {entry.place}: {entry.problem}")
    if told.gaps:
        typer.echo(f"missing: {', '.join(map(str, told.gaps))}", err=True)


def _lines(told: Timeline) -> Iterator[tuple[str, ...]]:
    gaps = sorted(told.gaps, reverse=True)
    previous: Moment | None = None
    for each in told.moments:
        while gaps and gaps[-1] < each.sequence:
            yield (str(gaps.pop()), "", "", "", "(missing)", "", "")
        again = f" (read {each.repeats + 1} times)" if each.repeats else ""
        yield (
            str(each.sequence or "-"),
            f"{_ms(each.at - told.moments[0].at)} ms",
            shown_time(each.at) if previous is None else f"+{_ms(each.at - previous.at)} ms",
            f"{_ms(each.waited)} ms",
            each.name,
            each.entry.place,
            gist(each.event) + again,
        )
        previous = each


def say_entry(entry: Entry, *, as_json: bool) -> None:
    """One entry, masked."""
    if as_json:
        terminal.say_json(shown(entry))
        return
    about = entry.about or masked_text(entry.key)
    says = gist(entry.event) if entry.event else entry.problem
    typer.echo(f"{shown_time(entry.told_at)}  {entry.name:<22} {about}  {entry.place}  {says}".rstrip())


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1_000)
