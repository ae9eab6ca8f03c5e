"""What receipts counts."""

from watchword.runtime.metrics import Metrics


class ReceiptsMetrics:
    """The metrics of receipts."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("receipts")
        self.callbacks = own.counter("callbacks_total", "Callbacks of known accounts.", "account", "outcome")
        self.detours = own.counter("detours_total", "Callbacks kept in Postgres because Kafka was silent.")
        self.batch_size = own.histogram("batch_size", "Callbacks published together.")
        self.unmapped = own.counter("unmapped_total", "Reports in words that the gateway has no state for.", "account")
        self.unparked = own.counter("unparked_total", "Parked reports whose attempt appeared.")
