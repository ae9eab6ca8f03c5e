"""What callbacks counts. Endpoints are no label: there are as many as customers."""

from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.unfinished import Overdue

DUE_WITHIN_S = 30.0


class CallbacksMetrics:
    """The metrics of callbacks. An outcome is delivered, again, gave_up or disabled; a reason one word of `Answer`
    or the class of the HTTP status."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("callbacks")
        self.results = own.counter("results_total", "Calls to endpoints, by what came of them.", "outcome", "reason")
        self.call_seconds = own.histogram("call_seconds", "From a call begun to its answer, by outcome.", "outcome")
        self.lag_seconds = own.histogram("lag_seconds", "From a delivery begun to the endpoint having it.")
        self.inflight = own.gauge("inflight", "Calls under way.")
        self.open_circuits = own.gauge("open_circuits_level", "Endpoints that are left alone because they fail.")
        self.due_seconds = own.gauge("due_seconds", "How long the oldest due delivery has been due.")
        self.batch_size = own.histogram("batch_size", "Results that shared one transaction.")
        self._overdue = Overdue(RuntimeMetrics(metrics), "callbacks.deliveries", within_s=DUE_WITHIN_S)

    def tell_due(self, age_s: float) -> None:
        """For how long the oldest due delivery has been due, 0 if none is."""
        self.due_seconds.set(max(age_s, 0.0))
        self._overdue.tell(age_s)
