"""The systems side by side."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Spread
from tests.bench.peers.tally import Fate, Figures, rows


def side_by_side(console: Console, figures: Sequence[Figures]) -> None:
    """A column for each system; then what a kill did, what is on disk, and what was left out."""
    shown = [each for each in figures if each.runs]
    told = {each.name: rows(each) for each in shown}
    if shown:
        console.print(_table(told))
        console.print(_kills(shown))
    for each in shown:
        console.print(f"{each.name}: {each.durability}", soft_wrap=True, highlight=False)
        for proof in sorted({run.proof for run in each.runs if run.proof}):
            console.print(f"{each.name}: {proof}", soft_wrap=True, highlight=False)
    for each in figures:
        if each.left_out:
            console.print(f"{each.name} was left out: {each.left_out}", soft_wrap=True, highlight=False)


def _table(told: Mapping[str, Mapping[str, Spread]]) -> Table:
    table = Table("for one message", *told, title="messages by HTTP to a carrier, receipts told by HTTP")
    for name in dict.fromkeys(name for each in told.values() for name in each):
        table.add_row(name, *(between(each[name]) if name in each else "" for each in told.values()))
    return table


def _kills(shown: Sequence[Figures]) -> Table:
    table = Table("kill -9 of", "system", "messages", "lost", "repeated", "receipts untold", "never answered")
    for what in dict.fromkeys(what for each in shown for what in each.runs[0].killed):
        for each in shown:
            for fate in (run.killed[what] for run in each.runs if what in run.killed):
                figures = (str(fate.lost), repeats(fate), str(fate.untold), str(fate.unanswered))
                table.add_row(what, each.name, str(fate.messages), *figures)
    return table


def repeats(fate: Fate) -> str:
    """Repeats, and how many of them their sender asked for."""
    return f"{fate.repeated} ({fate.asked_again} asked for again)" if fate.asked_again else str(fate.repeated)


def between(figure: Spread) -> str:
    """The median, and between what it lies where runs differ."""
    if figure.min == figure.max:
        return short(figure.median)
    return f"{short(figure.median)} ({short(figure.min)} to {short(figure.max)})"


def short(value: float) -> str:
    """Three digits of a small figure, none behind the point of a large one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
