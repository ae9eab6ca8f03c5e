"""The settings of receipts."""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class ReceiptsSettings(WorkerSettings):
    """`WATCHWORD_RECEIPTS_…`."""

    model_config = for_worker("receipts")

    publish_deadline_s: float = Field(
        2.0, gt=0, le=30, description="Seconds after which a silent Kafka is passed by, into the outbox"
    )
    deadline_s: float = Field(
        10.0, gt=0, le=60, description="Seconds after which a callback that waits is answered 503"
    )
    parked_pause_s: float = Field(1.0, ge=0.01, le=60, description="Seconds between two looks at parked receipts")
    parked_rows_max: int = Field(200, ge=1, le=2_000, description="Parked receipts looked at in one transaction")
