"""THE MAP. Every worker, what it reads, what it tells, what it owns. Tests hold the code, the schemas and the
database grants to it; deploy files are made from it."""

from dataclasses import dataclass

from watchword.events import topics as t


@dataclass(frozen=True, slots=True)
class Worker:
    """One line of the map. `reads` are topics; `writes` event names; `owns` tables it alone inserts into (an
    attempt is begun by codes and by dispatch); `doors` the HTTP ports it serves; `module` has `build(context)`."""

    name: str
    module: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()


RETRY = (t.RETRY_1S, t.RETRY_5S, t.RETRY_15S)

WORKERS = (
    Worker("intake", "watchword.intake.worker", reads=(t.INBOX, t.RISK_LEVELS),
           writes=("verification-requested", "resend-requested", "verification-refused", "verification-ended",
                   "feedback-given"),
           owns=("verifications", "latest_verifications", "subjects", "idempotency"), doors=("public",)),
    Worker("fraud", "watchword.fraud.worker", reads=(t.REQUESTS, t.LIFECYCLE, t.RISK_LEVELS),
           writes=("verification-assessed", "signal-observed"), owns=("spending", "reservations", "fraud_seasons")),
    Worker("judge", "watchword.fraud.judge", reads=(t.SIGNALS,), writes=("risk-level-set",)),
    Worker("codes", "watchword.codes.worker", reads=(t.ASSESSMENTS,),
           writes=("code-issued", "send-requested", "verification-ended"), owns=("codes", "attempts")),
    Worker("dispatch", "watchword.dispatch.worker", reads=(t.DISPATCH, *RETRY),
           writes=("attempt-made", "receipt-received", "receipt-recorded", "send-requested", "verification-ended"),
           owns=("attempts", "account_scores", "pace_slices")),
    Worker("receipts", "watchword.receipts.worker", reads=(t.RECEIPTS,),
           writes=("receipt-received", "receipt-recorded"), owns=("receipts_parked", "receipts_unmapped"),
           doors=("carriers",)),
    Worker("checks", "watchword.checks.worker",
           writes=("code-checked", "verification-ended"), doors=("public",)),
    Worker("timers", "watchword.timers.worker",
           writes=("verification-assessed", "send-requested", "attempt-made", "receipt-recorded", "code-checked",
                   "verification-ended")),
    Worker("callbacks", "watchword.callbacks.worker", reads=(t.LIFECYCLE,),
           writes=("callback-delivered", "verification-ended"), owns=("callback_deliveries", "endpoint_states")),
)  # fmt: skip
BY_NAME = {worker.name: worker for worker in WORKERS}

# Who reads together: each record goes to one process of a group. What is in no group is read whole by every process.
GROUPS = {
    "intake": (t.INBOX,), "fraud": (t.REQUESTS,), "fraud-outcomes": (t.LIFECYCLE,), "judge": (t.SIGNALS,),
    "codes": (t.ASSESSMENTS,), "dispatch": (t.DISPATCH, *RETRY), "receipts": (t.RECEIPTS,), "callbacks": (t.LIFECYCLE,),
}  # fmt: skip
