"""What checks counts."""

from collections.abc import Iterable

from watchword.checks.decide import Answer
from watchword.runtime.metrics import Metrics


class ChecksMetrics:
    """The metrics of checks."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("checks")
        self.answers = own.counter("answers_total", "Checks answered, by result.", "outcome")
        self.excess = own.counter("excess_total", "Checks of tenants whose wrong codes are beyond what is usual.")
        self.batch_size = own.histogram("batch_size", "Checks that shared two transactions.")

    def tell(self, answered: Iterable[object]) -> None:
        """Count answers; whatever is no answer goes by the name of its type."""
        for one in answered:
            self.answers.add(outcome=one.result.value if isinstance(one, Answer) else type(one).__name__.lower())
