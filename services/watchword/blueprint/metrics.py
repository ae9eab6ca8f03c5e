"""deploy/METRICS.md: every metric that some process tells, out of the classes that declare them."""

from dataclasses import dataclass
from typing import Any

from watchword.blueprint.writing import table
from watchword.callbacks.metrics import CallbacksMetrics
from watchword.checks.metrics import ChecksMetrics
from watchword.dispatch.metrics import DispatchMetrics
from watchword.fraud.metrics import FraudMetrics, JudgeMetrics, SpendingMetrics
from watchword.intake.metrics import IntakeMetrics
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.runtime.http import Door
from watchword.runtime.metrics import Metrics
from watchword.runtime.tls import TlsMetrics
from watchword.timers.lag import Lag
from watchword.timers.metrics import TimersMetrics

_NOBODY: Any = None
# What the Prometheus client tells of the process itself, on Linux.
_OF_PROCESS = {
    "process_resident_memory_bytes": "Memory that the process holds.",
    "process_cpu_seconds_total": "CPU that the process has used.",
    "process_open_fds": "Descriptors that are open.",
    "process_max_fds": "Descriptors that may be open.",
    "process_start_time_seconds": "When it was started, in seconds since 1970.",
    "process_virtual_memory_bytes": "Address space.",
}
_HEAD = """\
# Metrics
Made by `make flow` from the classes that declare them. Every process tells its own on `/metrics` of its operations
port; ages and ratios are of the moment of the scrape. [runbooks/](runbooks/README.md) says which of them ring.

"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its exposed name without the suffixes of a histogram, its kind in Prometheus' words, its labels."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def declared() -> list[Metric]:
    """Every metric there is, by name. Nothing is started; what the classes need beside the registry is not touched."""
    metrics, nobody = Metrics(), _NOBODY
    for owner in (
        CallbacksMetrics,
        ChecksMetrics,
        DispatchMetrics,
        FraudMetrics,
        SpendingMetrics,
        JudgeMetrics,
        IntakeMetrics,
        ReceiptsMetrics,
        TimersMetrics,
        TlsMetrics,
    ):
        owner(metrics)
    Door(host="127.0.0.1", port=0, metrics=metrics)
    Lag(nobody, clock=nobody, metrics=metrics, check=nobody)
    found = [Metric(name, told.kind, told.labels, told.meaning) for name, told in metrics.declared().items()]
    found += [Metric(name, _kind_of(name), (), meaning) for name, meaning in _OF_PROCESS.items()]
    return sorted(found, key=lambda metric: metric.name)


def metrics_text() -> str:
    """The whole file."""
    rows = [[f"`{each.name}`", each.kind, ", ".join(each.labels), each.meaning] for each in declared()]
    return _HEAD + table(("metric", "kind", "labels", "says"), rows)


def _kind_of(name: str) -> str:
    return "counter" if name.endswith("_total") else "gauge"
