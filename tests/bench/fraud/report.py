"""The report of a run: a table in Markdown, what public rules do better, and bars in SVG, small enough to be kept."""

from pathlib import Path
from typing import NamedTuple

from tests.bench.fraud.attacks import HELD_OUT
from tests.bench.fraud.traffic import Ask
from watchword.fraud.decide.rules import DEFAULT

__all__ = ["Ask", "Found", "Run", "Summary", "write"]

OURS = "watchword"
AS_LIVE, AT_ONCE = f"{OURS} as live", f"{OURS} at once"
HELD_OUT_FIRST = 1_001
_BAR, _GAP, _LEFT, _WIDTH = 12, 6, 150, 640
_PLOTS = (
    ("cost-saved", "cost saved: ", 100.0, "%"),
    ("users-blocked", "users blocked: ", 5.0, "%"),
    ("leaked", "leaked before the first block: ", 300.0, ""),
)
_DIRECTIONS = (
    *(("cost saved", 1), ("recall", 1), ("area under", 1), ("reason names", 1)),
    *(("leaked", -1), ("requests blocked", -1), ("users blocked", -1), ("minutes to", -1)),
)
_COLOURS = ("#1b6ca8", "#6fa8d6", "#9aa5b1", "#c58f3d", "#7a5195", "#5b8c5a", "#b5544d")


class Summary(NamedTuple):
    """One figure over the worlds: median, mean, the 95 % interval of the median, how many worlds, and the 95 % interval
    of the mean."""

    median: float
    mean: float
    low: float
    high: float
    worlds: int
    mean_low: float
    mean_high: float


Found = dict[str, dict[str, Summary]]


class Run(NamedTuple):
    """What was run: engines, ours first; seasons; worlds; how fast the model is, in words."""

    engines: tuple[str, ...]
    seasons: tuple[str, ...]
    worlds: range
    speed: str


_HELD_OUT = (
    "**What held-out means here.** Worlds: no threshold was set by these worlds, their people, prices, hours or the",
    "parameters drawn for their attacks; the families of attacks are those of the worlds tuned on. Families: no",
    f"threshold was set by {' and '.join(HELD_OUT)}, but neither is independent: O is A, E and G at once, which were",
    "tuned on; K shows a scorer nothing, by design, and is here to say so. So it is not measured how the rules meet a",
    "kind of attack that nobody thought of.",
)
_READING = (
    "**As live.** The first engine sees what a running system tells it: all that a recording tells; but a level comes",
    "into force half a second after what it follows from. Without that, as `watchword fraud score` answers:",
    f'`--engines "{AT_ONCE}"`.',
    "",
    "**Requests and users.** A request counts each time it is made. A user is a number, and counts as blocked if even",
    "one of their requests was. Inside the attacked country means: while the attack lasts.",
    "",
    "**Leaks.** A, B and N pump one range, F up to three; C, D, E, G and O spread over many, L over ever new ones; M",
    "moves on. H and P bomb one number, I and J guess.",
    "",
    "**Reasons.** Of each refusal the weightiest reason is held against the words that name what the attack does",
    "(`causes.py`, with why). Public rules have one reason for everything and are not asked.",
)


def write(folder: Path, found: Found, run: Run) -> None:
    """Write README.md and the plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    worlds, engines = run.worlds, run.engines
    lines = [
        "# Fraud scoring over held-out worlds",
        "",
        f"Made by `make bench-fraud` with ruleset {DEFAULT.name}:",
        f"worlds {worlds[0]} to {worlds[-1]}, {len(worlds)} in all, {_tuned(worlds)};",
        f"seasons {', '.join(run.seasons)}.",
        "Each cell: median (95 % interval of the median); what happens to users with the mean and its interval, for a",
        "median of rare events says little. Public rules are written anew from their descriptions. The attacks, their",
        "parameters and the worlds are in the modules beside this folder. A decision's time is CPU time of a busy",
        "machine, reading the line and counting included.",
        "",
        *_HELD_OUT,
        "",
        *_READING,
        "",
        f"The pure model, numbers understood beforehand: {run.speed}.",
        "",
        f"| figure | {' | '.join(engines)} |",
        f"|---|{'---|' * len(engines)}",
    ]
    for name in sorted(found):
        lines.append(f"| {name} | {' | '.join(_cell(name, found[name].get(engine)) for engine in engines)} |")
    lines += ["", "## Where a public rule does better", "", *_better(found, engines)]
    for plot, prefix, most, unit in _PLOTS:
        lines += ["", f"![{prefix}]({plot}.svg)"]
        (folder / f"{plot}.svg").write_text(_bars(found, engines, prefix, most, unit), "utf-8")
    (folder / "README.md").write_text("\n".join([*lines, ""]), "utf-8")


def _tuned(worlds: range) -> str:
    return "none of them tuned on" if worlds[0] >= HELD_OUT_FIRST else "**tuned on: no claim**"


def _better(found: Found, engines: tuple[str, ...]) -> list[str]:
    """One line a figure in which a rule beats the first engine, with what it does to ordinary users."""
    ours, *rest = engines
    others = [each for each in rest if not each.startswith(OURS)]
    harm = found.get("users blocked: normal", {})
    lines = []
    for name, by in sorted(found.items()):
        sign = next((sign for prefix, sign in _DIRECTIONS if name.startswith(prefix)), 0)
        if not sign or ours not in by:
            continue
        mine = sign * by[ours].mean
        winners = [each for each in others if each in by and sign * by[each].mean > mine + 1e-9]
        if winners:
            said = ", ".join(f"{each} {by[each].mean:.3g}" for each in winners)
            lines.append(f"- {name}: {said}; ours {by[ours].mean:.3g} (means)")
    hurt = ", ".join(f"{each} {harm[each].mean:.3g} %" for each in engines if each in harm)
    return [*lines, "", f"Ordinary users each engine refuses meanwhile: {hurt}."]


def _cell(name: str, summary: Summary | None) -> str:
    if summary is None:
        return "-"
    if name.startswith(("users", "requests")):
        mean = f"mean {summary.mean:.3f} ({summary.mean_low:.3f}-{summary.mean_high:.3f})"
        return f"{summary.median:.3f} ({summary.low:.3f}-{summary.high:.3f}), {mean}"
    return f"{summary.median:.1f} ({summary.low:.1f}-{summary.high:.1f})"


def _colour(engine_no: int) -> str:
    return _COLOURS[engine_no % len(_COLOURS)]


def _bars(found: Found, engines: tuple[str, ...], prefix: str, most: float, unit: str) -> str:
    """Horizontal bars of every figure with a prefix, one colour an engine, cut off at `most`."""
    names = sorted(name for name in found if name.startswith(prefix))
    height = len(names) * (len(engines) * _BAR + _GAP) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH}" height="{height}" font-size="10">']
    for n, engine in enumerate(engines):
        parts.append(f'<text x="{_LEFT + n * 100}" y="12" fill="{_colour(n)}">{engine}</text>')
    top = 24
    for name in names:
        parts.append(f'<text x="4" y="{top + 10}">{name.removeprefix(prefix)[:26]}</text>')
        for n, engine in enumerate(engines):
            summary = found[name].get(engine)
            value = summary.mean if summary else 0.0
            width = min(value / most, 1.0) * (_WIDTH - 60)
            parts.append(f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR - 2}" fill="{_colour(n)}"/>')
            parts.append(f'<text x="{_LEFT + width + 3:.1f}" y="{top + 9}">{value:.3g} {unit}</text>')
            top += _BAR
        top += _GAP
    return "\n".join([*parts, "</svg>", ""])
