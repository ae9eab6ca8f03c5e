"""How late a stage is: the age of the oldest thing it has begun and not finished, and how much of its time is used.

A stage says what it has in hand only when somebody looks (a scrape), so that being watched costs the path nothing.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchword.events import envelope as envelopes
from watchword.runtime.metrics import RuntimeMetrics

WANTED_WITHIN_S = 60.0
_MS = 1000


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One thing in hand: when it was begun and when it is worth nothing any more, in seconds since 1970 by the
    database's clock. `deadline_s` 0 says that it has no deadline of its own."""

    begun_s: float
    deadline_s: float = 0.0

    def age_s(self, now_s: float) -> float:
        """For how long it has been waited for."""
        return max(now_s - self.begun_s, 0.0)

    def used_ratio(self, now_s: float) -> float:
        """How much of the time it had when it was begun is gone: 1 at its deadline. What has no deadline, or was told
        after it, is wanted within `WANTED_WITHIN_S`."""
        had_s = self.deadline_s - self.begun_s
        return self.age_s(now_s) / (had_s if had_s > 0 else WANTED_WITHIN_S)


def of_record(record: Any, *, deadline_s: float = 0.0) -> Unfinished:
    """A Kafka record in hand; its deadline is `deadline_s`, or what its headers say where that is 0."""
    return Unfinished(record.timestamp / _MS, deadline_s or _expiry_s(record))


def oldest(records: Iterable[Any]) -> tuple[Unfinished, ...]:
    """The oldest of some Kafka records, none of none."""
    first = min(records, key=lambda record: record.timestamp, default=None)
    return () if first is None else (of_record(first),)


def show(
    metrics: RuntimeMetrics, stage: str, *, now: Callable[[], datetime], in_hand: Callable[[], Iterable[Unfinished]]
) -> None:
    """Have `stage` say at every scrape from now on how late it is. Nothing is asked of `now` while nothing is in
    hand."""

    def look() -> None:
        left = tuple(in_hand())
        now_s = now().timestamp() if left else 0.0
        metrics.oldest.set(max((each.age_s(now_s) for each in left), default=0.0), stage=stage)
        metrics.used.set(max((each.used_ratio(now_s) for each in left), default=0.0), stage=stage)

    metrics.before_each_look(look)


class Overdue:
    """What a turn over Postgres last found overdue. It grows older from then on, also while Postgres is away and
    nobody can look."""

    def __init__(
        self,
        metrics: RuntimeMetrics,
        stage: str,
        *,
        within_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`within_s` is how long the oldest may be overdue before it is too late."""
        self._metrics = metrics
        self._stage = stage
        self._within_s = within_s
        self._monotonic = monotonic
        self._age_s = 0.0
        self._told_s = 0.0
        metrics.before_each_look(self._look)

    def tell(self, age_s: float) -> None:
        """The oldest is `age_s` overdue now; 0 if nothing is."""
        self._age_s, self._told_s = max(age_s, 0.0), self._monotonic()

    def _look(self) -> None:
        age_s = self._age_s + self._monotonic() - self._told_s if self._age_s else 0.0
        self._metrics.oldest.set(age_s, stage=self._stage)
        self._metrics.used.set(age_s / self._within_s, stage=self._stage)


def _expiry_s(record: Any) -> float:
    try:
        expires_at = envelopes.read(record.headers).expires_at
    except ValueError:
        return 0.0
    return expires_at.timestamp() if expires_at is not None else 0.0
