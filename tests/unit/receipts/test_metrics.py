"""What receipts counts of a report."""

import pytest

from watchword.gateways import reasons
from watchword.gateways.contract import Receipt
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.verification import ReceiptState
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.runtime.metrics import Metrics

ARRIVED = Receipt(ReceiptState.DELIVERED, provider_id="m-1")
REFUSED = Receipt(ReceiptState.REJECTED, provider_id="m-1", reason=OutcomeClass.CONFIGURATION)
UNKNOWN_CODE = Receipt(
    ReceiptState.UNDELIVERED, provider_id="m-1", reason=OutcomeClass.TEMPORARY, unmapped="failed/977"
)


@pytest.mark.parametrize(
    ("receipt", "reason", "unmapped"),
    [(ARRIVED, None, None), (REFUSED, "configuration", None), (UNKNOWN_CODE, "temporary", 1.0)],
)
def test_a_failure_is_counted_by_its_reason_and_an_unknown_code_as_unmapped(
    receipt: Receipt, reason: str | None, unmapped: float | None
) -> None:
    metrics = Metrics()
    ReceiptsMetrics(metrics).heard("in-1", receipt)
    for each in reasons.CLASSES:
        counted = metrics.value("watchword_receipts_failures_total", account="in-1", reason=each)
        assert counted == (1.0 if each == reason else None)
    assert metrics.value("watchword_receipts_unmapped_total", account="in-1") == unmapped
