"""The settings of timers."""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class TimersSettings(WorkerSettings):
    """`WATCHWORD_TIMERS_…`."""

    model_config = for_worker("timers")

    sweep_after_s: float = Field(3.0, ge=0.1, le=60, description="Age in seconds at which the outbox sweep takes a row")
    sweep_rows_max: int = Field(500, ge=1, le=5_000, description="Rows of the outbox published in one turn")
    rows_max: int = Field(200, ge=1, le=2_000, description="Overdue rows dealt with in one transaction")
    pause_s: float = Field(0.2, ge=0.01, le=10, description="Seconds between two looks for what is overdue")
    late_grace_s: float = Field(5.0, ge=0, le=300, description="Seconds dispatch has to skip a late attempt itself")
    retention_d: int = Field(30, ge=1, le=3_650, description="Days for which verifications are kept")
    known_d: int = Field(90, ge=0, le=90, description="Days for which it is kept that a number was verified, at least")
    idempotency_h: int = Field(24, ge=1, le=720, description="Hours for which idempotency keys are kept")
    tidy_pause_s: float = Field(60.0, ge=0.01, le=3_600, description="Seconds between two rounds of forgetting")
    lag_pause_s: float = Field(
        5.0, ge=0.05, le=300, description="Seconds between two looks at how far groups are behind"
    )
