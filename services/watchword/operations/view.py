"""What a look at all pages says of stages and accounts. Pure: two looks come in, one view comes out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from watchword.flow import GROUPS
from watchword.operations.pages import Page

BREAKER = ("closed", "half open", "open")
_RUNTIME = "watchword_runtime_"
_DISPATCH = "watchword_dispatch_"
# Where a stage counts what it deals with, if not in the runtime's own counter.
_COUNTED = {
    "intake": "watchword_intake_requests_total",
    "checks": "watchword_checks_answers_total",
    "timers": "watchword_timers_overdue_total",
}
_ORDER = (
    "intake",
    "fraud",
    "fraud-outcomes",
    "judge",
    "codes",
    "dispatch",
    "receipts",
    "checks",
    "timers",
    "callbacks",
)


class StageView(msgspec.Struct, frozen=True):
    """One stage over all its processes. `per_s` is what it dealt with between the two looks; `oldest_s` and
    `used_ratio` are of the worst process; lag is as the broker tells it, 0 where the stage reads no topic."""

    stage: str
    per_s: float
    oldest_s: float
    used_ratio: float
    inflight: int
    held: int
    lag: int
    lag_s: float


class AccountView(msgspec.Struct, frozen=True):
    """One account over all processes of dispatch. `outcomes` counts since their start, `cost` is in whole units."""

    account: str
    per_s: float
    outcomes: dict[str, int]
    breaker: str
    inflight: int
    waiting: int
    pace_per_s: float
    cost: float


class ProcessView(msgspec.Struct, frozen=True):
    """One process: `failing` names the checks that are not well and why, `problem` why it could not be read."""

    url: str
    ready: bool
    failing: list[str]
    problem: str
    memory_mib: float
    series: int


class View(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    stages: list[StageView]
    accounts: list[AccountView]
    processes: list[ProcessView]
    outbox_s: float


def view(before: Sequence[Page], now: Sequence[Page]) -> View:
    """What has happened between two looks at the same ports, and how things stand at the second."""
    return View(
        stages=[_stage(name, before, now) for name in _stages(now)],
        accounts=[
            _account(name, before, now) for name in sorted(_labels(now, f"{_DISPATCH}attempts_total", "account"))
        ],
        processes=[_process(page) for page in now],
        outbox_s=_most(now, "watchword_timers_outbox_age_seconds"),
    )


def _stages(pages: Sequence[Page]) -> list[str]:
    told = _labels(pages, f"{_RUNTIME}deadline_used_ratio", "stage")
    told |= {stage for stage, counter in _COUNTED.items() if any(any(page.of(counter)) for page in pages)}
    known = [stage for stage in _ORDER if stage in told]
    return known + sorted(told - set(known))


def _stage(name: str, before: Sequence[Page], now: Sequence[Page]) -> StageView:
    counter, labels = (_COUNTED[name], {}) if name in _COUNTED else (f"{_RUNTIME}events_total", {"stage": name})
    topics = GROUPS.get(name, ())
    lags = [_most(now, "watchword_lag_waiting_size", group=name, topic=topic) for topic in topics]
    lags_s = [_most(now, "watchword_lag_oldest_seconds", group=name, topic=topic) for topic in topics]
    return StageView(
        stage=name,
        per_s=_per_s(before, now, counter, **labels),
        oldest_s=_most(now, f"{_RUNTIME}oldest_seconds", stage=name),
        used_ratio=_most(now, f"{_RUNTIME}deadline_used_ratio", stage=name),
        inflight=int(_total(now, f"{_RUNTIME}inflight", stage=name)),
        held=int(_total(now, f"{_RUNTIME}held_size", stage=name)),
        lag=int(sum(lags)),
        lag_s=max(lags_s, default=0.0),
    )


def _account(name: str, before: Sequence[Page], now: Sequence[Page]) -> AccountView:
    outcomes: dict[str, int] = defaultdict(int)
    for page in now:
        for sample in page.of(f"{_DISPATCH}attempts_total"):
            if sample.labels["account"] == name:
                outcomes[sample.labels["outcome"]] += int(sample.value)
    return AccountView(
        account=name,
        per_s=_per_s(before, now, f"{_DISPATCH}attempts_total", account=name),
        outcomes=dict(sorted(outcomes.items())),
        breaker=BREAKER[int(_most(now, f"{_DISPATCH}breaker_state", account=name))],
        inflight=int(_total(now, f"{_DISPATCH}inflight", account=name)),
        waiting=int(_total(now, f"{_DISPATCH}waiting_size", account=name)),
        pace_per_s=_total(now, f"{_DISPATCH}rate_level", account=name),
        cost=_total(now, f"{_DISPATCH}cost_micros_total", account=name) / 1_000_000,
    )


def _process(page: Page) -> ProcessView:
    return ProcessView(
        url=page.url,
        ready=not page.problem and not page.failing,
        failing=[f"{check.check}: {check.why}" for check in page.failing],
        problem=page.problem,
        memory_mib=round(_most([page], "process_resident_memory_bytes") / 1024 / 1024, 1),
        series=len(page.samples),
    )


def _per_s(before: Sequence[Page], now: Sequence[Page], name: str, **labels: str) -> float:
    """How fast a counter grew. A process that started anew in between counts from nothing."""
    earlier = {page.url: page for page in before}
    rate = 0.0
    for page in now:
        then = earlier.get(page.url)
        passed_s = page.read_s - then.read_s if then is not None else 0.0
        if then is None or then.problem or passed_s <= 0:
            continue
        grown, had = _total([page], name, **labels), _total([then], name, **labels)
        rate += (grown - had if grown >= had else grown) / passed_s
    return round(rate, 2)


def _labels(pages: Iterable[Page], name: str, label: str) -> set[str]:
    return {sample.labels[label] for page in pages for sample in page.of(name)}


def _most(pages: Iterable[Page], name: str, **labels: str) -> float:
    return _folded(pages, name, labels, lambda values: max(values, default=0.0))


def _total(pages: Iterable[Page], name: str, **labels: str) -> float:
    return _folded(pages, name, labels, sum)


def _folded(pages: Iterable[Page], name: str, labels: dict[str, str], fold: Callable[[list[float]], float]) -> float:
    found = [
        sample.value
        for page in pages
        for sample in page.of(name)
        if all(sample.labels.get(label) == value for label, value in labels.items())
    ]
    return fold(found)
