"""Settings of dispatch, WATCHWORD_DISPATCH_…"""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class DispatchSettings(WorkerSettings):
    """How much is in flight at a time, and how long a message waits for its account."""

    model_config = for_worker("dispatch")

    inflight_max: int = Field(2_000, ge=1, le=50_000, description="Messages in flight in one process")
    spread_max: int = Field(5_000, ge=1, le=100_000, description="Messages in flight, or behind one, per partition")
    account_wait_ms: int = Field(
        3_000, ge=0, le=10_000, description="How long a message waits for its account before another one is tried"
    )
    report_publish_deadline_s: float = Field(
        2.0, gt=0, le=30, description="Seconds after which a silent Kafka is passed by, into the outbox, with a report"
    )
