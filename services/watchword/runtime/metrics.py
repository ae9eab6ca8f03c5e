"""Metrics, declared once per worker in its `metrics.py`, exposed in Prometheus' text format.

A name is `watchword_<worker>_<noun>_<unit>`. Labels come from a closed set and their values from small closed sets
too: never a number, an id or a key. What looks like one, or comes after a thousand others, is counted as "other".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

LABELS = frozenset(
    {
        "stage", "outcome", "account", "country", "rule", "topic", "group", "reason", "route", "method",
        "code_class", "check", "state", "cap",
    }
)  # fmt: skip
UNITS = frozenset({"seconds", "bytes", "size", "ratio", "rows", "inflight", "segments", "micros", "level", "state"})
CHILDREN_MAX = 1_000
OTHER = "other"

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_VALUE = re.compile(r"(?!.*[0-9]{5})[A-Za-z0-9_.:/{}*+-]{0,80}", re.ASCII)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Told(NamedTuple):
    """A declared metric: counter, gauge or histogram; its labels; what it says."""

    kind: str
    labels: tuple[str, ...]
    meaning: str


class _Labelled:
    """What counters, gauges and histograms share: one child per combination of label values, kept for reuse."""

    def __init__(self, family: Any, labels: Sequence[str]) -> None:
        self._family = family
        self.labels = tuple(labels)
        self._children: dict[tuple[str, ...], Any] = {}

    def told(self) -> "Told":
        """What it is, in the words it was declared with."""
        return Told(type(self).__name__.lower(), self.labels, self._family._documentation)

    def _child(self, given: Mapping[str, str]) -> Any:
        values = tuple(given.values())
        child = self._children.get(values)
        if child is None or tuple(given) != self.labels:
            child = self._named(given)
        return child

    def _named(self, given: Mapping[str, str]) -> Any:
        if set(given) != set(self.labels):
            raise ValueError(f"this metric has the labels {self.labels}, not {tuple(given)}")
        if not self.labels:
            return self._children.setdefault((), self._family)
        values = tuple(given[name] for name in self.labels)
        if values not in self._children:
            shown = tuple(value if _VALUE.fullmatch(value) else OTHER for value in values)
            if len(self._children) >= CHILDREN_MAX:
                return self._family.labels(*(OTHER for _ in shown))
            self._children[values] = self._family.labels(*shown)
        return self._children[values]


class Counter(_Labelled):
    """Something that only grows."""

    def add(self, by: float = 1.0, /, **labels: str) -> None:
        """Count `by` more."""
        self._child(labels).inc(by)


class Gauge(_Labelled):
    """Something that goes up and down."""

    def set(self, value: float, /, **labels: str) -> None:
        """It is `value` now."""
        self._child(labels).set(value)

    def add(self, by: float, /, **labels: str) -> None:
        """It is `by` more, or less if negative."""
        self._child(labels).inc(by)


class Histogram(_Labelled):
    """How something is spread."""

    def observe(self, value: float, /, **labels: str) -> None:
        """One more of `value`."""
        self._child(labels).observe(value)


L = TypeVar("L", bound=_Labelled)


class Metrics:
    """Every metric of one process, in a registry of its own: two of them in one test never meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._declared: dict[str, Any] = {}
        self._looks: list[Callable[[], None]] = []

    def of(self, worker: str) -> "Declaring":
        """Where `worker` declares its metrics. Declaring the same again gives the same metric."""
        return Declaring(self._registry, worker, self._declared)

    def declared(self) -> dict[str, "Told"]:
        """What was declared so far, by full name."""
        return {name: each.told() for name, each in self._declared.items()}

    def before_each_look(self, look: Callable[[], None]) -> None:
        """Call `look` before every exposition: for gauges of what is true at the moment and costs something to say."""
        self._looks.append(look)

    def exposition(self) -> tuple[str, bytes]:
        """Content type and body of /metrics."""
        self._look()
        return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample as it is now, by its exposed name; None if there is none."""
        self._look()
        return self._registry.get_sample_value(name, labels)

    def _look(self) -> None:
        for look in self._looks:
            look()


class Declaring:
    """Declares the metrics of one worker. Raises ValueError on a name, unit or label that breaks the rules."""

    def __init__(self, registry: CollectorRegistry, worker: str, declared: dict[str, Any]) -> None:
        self._registry = registry
        self._worker = worker
        self._declared = declared

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """A counter; `name` ends in _total."""
        full = self._full(name, labels, frozenset({"total"}))
        make = partial(prometheus_client.Counter, full, meaning, labels, registry=self._registry)
        return self._once(Counter, full, make, labels)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """A gauge; `name` ends in a unit."""
        full = self._full(name, labels, UNITS)
        make = partial(prometheus_client.Gauge, full, meaning, labels, registry=self._registry)
        return self._once(Gauge, full, make, labels)

    def histogram(self, name: str, meaning: str, *labels: str, buckets: Sequence[float] | None = None) -> Histogram:
        """A histogram; `name` ends in a unit; buckets are those of seconds or sizes unless given."""
        full = self._full(name, labels, UNITS)
        edges = buckets or (SECONDS if name.endswith("seconds") else SIZES)
        make = partial(prometheus_client.Histogram, full, meaning, labels, registry=self._registry, buckets=edges)
        return self._once(Histogram, full, make, labels)

    def _once(self, kind: type[L], full: str, make: Callable[[], Any], labels: Sequence[str]) -> L:
        known = self._declared.get(full)
        if known is None:
            known = self._declared[full] = kind(make(), labels)
        if not isinstance(known, kind) or known.labels != tuple(labels):
            raise ValueError(f"{full} is declared twice, and differently")
        return known

    def _full(self, name: str, labels: Sequence[str], units: frozenset[str]) -> str:
        full = f"watchword_{self._worker.replace('.', '_')}_{name}"
        if not _NAME.fullmatch(full) or full.rpartition("_")[2] not in units:
            raise ValueError(f"{full} is not a metric name that ends in one of {', '.join(sorted(units))}")
        if unknown := set(labels) - LABELS:
            raise ValueError(f"{full} has labels outside the closed set: {', '.join(sorted(unknown))}")
        return full


class RuntimeMetrics:
    """What the loop and its neighbours count, per stage: a consumer group, or what a turn deals with."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("runtime")
        self.before_each_look = metrics.before_each_look
        self.events = own.counter("events_total", "Events dealt with, by verdict.", "stage", "outcome")
        self.buried = own.counter("buried_total", "Events that went to a dead topic, by why.", "stage", "reason")
        self.batch_seconds = own.histogram("batch_seconds", "From a batch taken to its offsets committed.", "stage")
        self.batch_size = own.histogram("batch_size", "Records in a batch.", "stage")
        self.age_seconds = own.histogram("age_seconds", "Age of an event when its batch is taken.", "stage")
        self.inflight = own.gauge("inflight", "Records taken and not yet concluded.", "stage")
        self.oldest = own.gauge("oldest_seconds", "Age of the oldest unfinished item, 0 without one.", "stage")
        self.used = own.gauge(
            "deadline_used_ratio", "Share of its time that the oldest unfinished item has used; 1 is too late.", "stage"
        )
        self.tasks = own.gauge("tasks_size", "Tasks of the process's event loop that are not over.")
        self.held = own.gauge("held_size", "Partitions that are paused.", "stage")
        self.assigned = own.gauge("assigned_size", "Partitions that this process reads.", "stage")
        self.rebalances = own.counter("rebalances_total", "Assignments that changed.", "stage")
        self.publish_seconds = own.histogram("publish_seconds", "From a batch handed to Kafka to its acks.", "stage")
        self.outbox_swept = own.counter("outbox_swept_total", "Outbox rows published by the sweeper.")
        self.ready = own.gauge("ready_state", "1 while a readiness check is well, 0 while it is not.", "check")
