"""A view as tables for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from watchword.operations.view import AccountView, ProcessView, StageView, View

USED_WARNS = 0.5
USED_ALARMS = 1.0


def draw(view: View) -> RenderableType:
    """Stages, accounts, and the processes that are not well."""
    unwell = [process for process in view.processes if not process.ready]
    ready = f"{len(view.processes) - len(unwell)} of {len(view.processes)} processes are ready"
    head = Text.assemble(
        (ready, "bold red" if unwell else "bold"), f"   oldest in the outbox {view.outbox_s:.1f} s", no_wrap=True
    )
    parts: list[RenderableType] = [head, _stages(view.stages)]
    if view.accounts:
        parts.append(_accounts(view.accounts))
    return Group(*parts, *(_unwell(process) for process in unwell))


def _stages(stages: list[StageView]) -> Table:
    table = _table("stage", "per s", "oldest s", "deadline used", "in flight", "held", "lag", "lag s")
    for each in stages:
        table.add_row(
            each.stage,
            f"{each.per_s:.1f}",
            f"{each.oldest_s:.2f}",
            Text(f"{each.used_ratio:.0%}", style=_colour(each.used_ratio)),
            str(each.inflight),
            str(each.held),
            str(each.lag),
            f"{each.lag_s:.1f}",
        )
    return table


def _accounts(accounts: list[AccountView]) -> Table:
    table = _table("account", "per s", "breaker", "in flight", "waiting", "pace per s", "cost", "outcomes")
    for each in accounts:
        table.add_row(
            each.account,
            f"{each.per_s:.1f}",
            Text(each.breaker, style="" if each.breaker == "closed" else "bold red"),
            str(each.inflight),
            str(each.waiting),
            f"{each.pace_per_s:.0f}",
            f"{each.cost:.2f}",
            "  ".join(f"{outcome} {count}" for outcome, count in each.outcomes.items()),
        )
    return table


def _unwell(process: ProcessView) -> Text:
    why = process.problem or "; ".join(process.failing)
    return Text(f"{process.url} is not ready: {why}", style="red", no_wrap=True, overflow="ellipsis")


def _table(first: str, *heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for head in heads:
        table.add_column(head, justify="left" if head == "outcomes" else "right")
    return table


def _colour(used_ratio: float) -> str:
    if used_ratio >= USED_ALARMS:
        return "bold red"
    return "yellow" if used_ratio >= USED_WARNS else ""
