"""What timers counts."""

from watchword.runtime.metrics import Metrics


class TimersMetrics:
    """The metrics of timers. Every age is that of the oldest row when it was looked for, 0 if there was none."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("timers")
        self.age = own.gauge("overdue_seconds", "How long the oldest overdue row has been overdue.", "stage")
        self.dealt_with = own.counter("overdue_total", "Overdue rows dealt with.", "stage")
        self.outbox_age = own.gauge("outbox_age_seconds", "Age of the oldest event that Kafka does not have.")
        self.forgotten = own.counter("forgotten_total", "Rows deleted because their time is over.", "stage")
