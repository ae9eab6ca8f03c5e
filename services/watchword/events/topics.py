"""The names of the topics. Their keys, partitions and retention are in schemas/topics.yaml."""

from typing import Final

INBOX: Final = "otp.inbox.v1"
REQUESTS: Final = "otp.requests.v1"
ASSESSMENTS: Final = "otp.assessments.v1"
SIGNALS: Final = "otp.signals.v1"
RISK_LEVELS: Final = "otp.risk-levels.v1"
DISPATCH: Final = "otp.dispatch.v1"
RETRY_1S: Final = "otp.dispatch.retry-1s.v1"
RETRY_5S: Final = "otp.dispatch.retry-5s.v1"
RETRY_15S: Final = "otp.dispatch.retry-15s.v1"
LIFECYCLE: Final = "otp.lifecycle.v1"
RECEIPTS: Final = "otp.receipts.v1"
RESULTS: Final = "otp.results.v1"

TENANT_RESULTS: Final = "results."
"""How tenants' own results topics begin where access rules are in force: the rules cover what begins so."""

RETRY_TIERS_S: Final = ((1, RETRY_1S), (5, RETRY_5S), (15, RETRY_15S))
ALL: Final = (
    INBOX, REQUESTS, ASSESSMENTS, SIGNALS, RISK_LEVELS, DISPATCH, RETRY_1S, RETRY_5S, RETRY_15S, LIFECYCLE,
    RECEIPTS, RESULTS,
)  # fmt: skip


def dead(topic: str) -> str:
    """The dead topic of `topic`: the untouched value and why nothing could come of it."""
    return f"{topic}.dead"
