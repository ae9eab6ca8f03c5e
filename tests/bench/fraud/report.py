"""The report of a run: a table in Markdown and bars in SVG, small enough to be kept."""

from pathlib import Path
from typing import NamedTuple

from tests.bench.fraud.traffic import Ask

__all__ = ["Ask", "Summary", "write"]

_BAR, _GAP, _LEFT, _WIDTH = 12, 6, 150, 640
_COLOURS = ("#1b6ca8", "#9aa5b1", "#c58f3d", "#7a5195", "#5b8c5a", "#b5544d")


class Summary(NamedTuple):
    """One figure over the worlds: median, mean, the 95 % interval of the median, how many worlds."""

    median: float
    mean: float
    low: float
    high: float
    worlds: int


Found = dict[str, dict[str, Summary]]


def write(folder: Path, found: Found, engines: tuple[str, ...], worlds: int) -> None:
    """Write README.md and the plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Fraud scoring over held-out worlds",
        "",
        f"Made by `make bench-fraud`: seeds 1001 to {1000 + worlds}, {worlds} in all; no world of them was tuned on.",
        "Each cell: median (95 % interval of the median); shares of users with their mean, for a median of rare events",
        "says little. Public rules are written anew from their descriptions. The attacks A to N, their parameters and",
        "the worlds are in the modules beside this folder. A decision's time is CPU time and holds what it counts.",
        "",
        f"| figure | {' | '.join(engines)} |",
        f"|---|{'---|' * len(engines)}",
    ]
    for name in sorted(found):
        lines.append(f"| {name} | {' | '.join(_cell(name, found[name].get(engine)) for engine in engines)} |")
    lines += ["", "![cost saved](cost-saved.svg)", "", "![users blocked](users-blocked.svg)", ""]
    text = "\n".join(lines)
    (folder / "README.md").write_text(text, "utf-8")
    (folder / "cost-saved.svg").write_text(_bars(found, engines, "cost saved: ", 100.0), "utf-8")
    (folder / "users-blocked.svg").write_text(_bars(found, engines, "users blocked: ", 5.0), "utf-8")


def _cell(name: str, summary: Summary | None) -> str:
    if summary is None:
        return "-"
    if name.startswith("users"):
        return f"{summary.median:.3f} (mean {summary.mean:.3f})"
    return f"{summary.median:.1f} ({summary.low:.1f}-{summary.high:.1f})"


def _bars(found: Found, engines: tuple[str, ...], prefix: str, most: float) -> str:
    """Horizontal bars of every figure with a prefix, one colour an engine, cut off at `most` per cent."""
    names = sorted(name for name in found if name.startswith(prefix))
    height = len(names) * (len(engines) * _BAR + _GAP) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH}" height="{height}" font-size="10">']
    for n, engine in enumerate(engines):
        parts.append(f'<text x="{_LEFT + n * 100}" y="12" fill="{_COLOURS[n % len(_COLOURS)]}">{engine}</text>')
    top = 24
    for name in names:
        parts.append(f'<text x="4" y="{top + 10}">{name.removeprefix(prefix)[:26]}</text>')
        for n, engine in enumerate(engines):
            summary = found[name].get(engine)
            value = summary.mean if summary else 0.0
            width = min(value / most, 1.0) * (_WIDTH - 60)
            parts.append(
                f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[n % 6]}"/>'
            )
            parts.append(f'<text x="{_LEFT + width + 3:.1f}" y="{top + 9}">{value:.3g} %</text>')
            top += _BAR
        top += _GAP
    return "\n".join([*parts, "</svg>", ""])
