"""What timers counts."""

from collections.abc import Mapping
from typing import Any

from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.unfinished import Overdue

OUTBOX = "outbox"
# Seconds after which a kind is too late. Past 20 s of outbox intake takes nothing more (guarantees.md, section 3).
WITHIN_S = {
    "due_verifications": 30.0,
    "stale_claims": 30.0,
    "late_attempts": 30.0,
    "abandoned_attempts": 30.0,
    "parked_receipts": 60.0,
    "unreported_attempts": 60.0,
    OUTBOX: 20.0,
}


class TimersMetrics:
    """The metrics of timers. Every age is that of the oldest row when it was looked for, 0 if there was none."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("timers")
        self.age = own.gauge("overdue_seconds", "How long the oldest overdue row has been overdue.", "stage")
        runtime = RuntimeMetrics(metrics)
        self.buried = runtime.buried
        self._overdue = {kind: Overdue(runtime, kind, within_s=within_s) for kind, within_s in WITHIN_S.items()}
        self.dealt_with = own.counter("overdue_total", "Overdue rows dealt with.", "stage")
        self.outbox_age = own.gauge("outbox_age_seconds", "Age of the oldest event that Kafka does not have.")
        self.forgotten = own.counter("forgotten_total", "Rows deleted because their time is over.", "stage")

    def tell_overdue(self, kind: str, age_s: float) -> None:
        """How long the oldest row of a kind has been overdue, 0 if there is none."""
        self.age.set(max(age_s, 0.0), stage=kind)
        self._overdue[kind].tell(age_s)

    def tell_looked(self, answer: Mapping[str, Any]) -> None:
        """What a look at everything said: the kinds of which nothing is overdue, and the outbox's age if it says so."""
        for kind in self._overdue:
            if answer.get(kind) is False:
                self.tell_overdue(kind, 0.0)
        if "outbox_age_s" in answer:
            self.tell_outbox(answer["outbox_age_s"])

    def tell_outbox(self, age_s: float) -> None:
        """How long the oldest event has been waiting for Kafka, 0 if there is none."""
        self.outbox_age.set(age_s)
        self._overdue[OUTBOX].tell(age_s)
