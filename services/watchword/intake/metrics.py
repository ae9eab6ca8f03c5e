"""What intake counts."""

from collections.abc import Iterable

from watchword.intake.answers import Accepted, Reply
from watchword.runtime.metrics import Metrics, RuntimeMetrics


class IntakeMetrics:
    """The metrics of intake."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("intake")
        self.runtime = RuntimeMetrics(metrics)
        self.requests = own.counter("requests_total", "Requests decided, by what came of them.", "outcome")
        self.refused = own.counter("refused_total", "Requests refused before any state was looked at.", "reason")
        self.shed = own.counter("shed_total", "Requests refused because too much is under way, by where.", "reason")
        self.batch_size = own.histogram("batch_size", "Requests that shared one transaction.")
        self.backlog = own.gauge("backlog_seconds", "Age of the oldest event that Kafka does not have yet.")
        self.ahead = own.gauge("ahead_seconds", "For how long whoever is accepted now waits until its code is sent.")
        self.waits = own.counter("waits_total", "Requests that asked to wait, by what came of the wait.", "outcome")
        self.inbox = own.counter("inbox_total", "Published records, by what came of them.", "outcome")

    def tell(self, replies: Iterable[Reply]) -> None:
        """Count replies: accepted, replayed, or the word of the refusal."""
        for reply in replies:
            self.requests.add(outcome=_outcome(reply))


def _outcome(reply: Reply) -> str:
    if isinstance(reply, Accepted):
        return "replayed" if reply.replayed else "accepted"
    return reply.code
