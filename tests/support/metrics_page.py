"""What is asked of every metrics page, whoever serves it; and promtool, where the machine has it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from watchword.runtime.metrics import LABELS, UNITS

NEEDS_PROMTOOL = "needs promtool (.ci/interop-peers installs it): only our own rules were held"
PEERS = Path(__file__).parents[2] / ".cache" / "interop" / "bin"
SERIES_MAX = 2_000
_OURS = re.compile(r"watchword_[a-z][a-z0-9]*(_[a-z0-9]+)+")
_A_NUMBER_OR_AN_ID = re.compile(r"[0-9.+-]+|.*[0-9]{5}.*|.*[0-9a-f]{8}-[0-9a-f]{4}-.*|.*(wwk_|whsec_).*")
_SUFFIXES = ("_total", "_bucket", "_count", "_sum")


def promtool() -> str | None:
    """Where promtool is, None where it is not."""
    return shutil.which("promtool") or shutil.which("promtool", path=PEERS)


def flaws(page: str) -> list[str]:
    """Every way in which a page breaks the rules of its names, help texts, labels, values and number of series."""
    found = [flaw for family in text_string_to_metric_families(page) for flaw in _of_family(family)]
    series = sum(1 for line in page.splitlines() if line and not line.startswith("#"))
    return found + ([f"{series} series are more than {SERIES_MAX}"] if series > SERIES_MAX else [])


def _of_family(family: object) -> Iterator[str]:
    name, kind = str(family.name), str(family.type)  # type: ignore[attr-defined]  # the parser's families have no types
    if not str(family.documentation).strip():  # type: ignore[attr-defined]
        yield f"{name} says not what it is"
    if kind in ("unknown", "untyped"):
        yield f"{name} has no type"
    if name.startswith("process_"):
        return
    if not _OURS.fullmatch(name):
        yield f"{name} is not one of our names"
    if kind != "counter" and name.rpartition("_")[2] not in UNITS:
        yield f"{name} ends in no unit"
    for sample in family.samples:  # type: ignore[attr-defined]
        yield from _of_sample(kind, sample.name, sample.labels)


def _of_sample(kind: str, name: str, labels: dict[str, str]) -> Iterator[str]:
    if kind == "counter" and not name.endswith("_total"):
        yield f"{name} counts and does not end in _total"
    if kind == "gauge" and name.endswith(_SUFFIXES):
        yield f"{name} is a gauge and ends like a counter"
    own = {label: value for label, value in labels.items() if not (label == "le" and kind == "histogram")}
    if strange := set(own) - LABELS:
        yield f"{name} has labels outside the closed set: {', '.join(sorted(strange))}"
    for label, value in own.items():
        if _A_NUMBER_OR_AN_ID.fullmatch(value):
            yield f"{name} has a number, an id or a key as its {label}: {value}"
