"""What receipts counts."""

from watchword.gateways.contract import Receipt
from watchword.runtime.metrics import Metrics


class ReceiptsMetrics:
    """The metrics of receipts."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("receipts")
        self.callbacks = own.counter("callbacks_total", "Callbacks of known accounts.", "account", "outcome")
        self.detours = own.counter("detours_total", "Callbacks kept in Postgres because Kafka was silent.")
        self.batch_size = own.histogram("batch_size", "Callbacks published together.")
        self.failures = own.counter(
            "failures_total", "Reports that a message did not arrive, by the class of the reason.", "account", "reason"
        )
        self.unmapped = own.counter("unmapped_total", "Reports in words or codes that no map has.", "account")
        self.unparked = own.counter("unparked_total", "Parked reports whose attempt appeared.")

    def heard(self, account: str, receipt: Receipt) -> None:
        """One report came through `account`."""
        if receipt.reason:
            self.failures.add(account=account, reason=receipt.reason.value)
        if receipt.unmapped:
            self.unmapped.add(account=account)
