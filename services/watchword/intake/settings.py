"""The settings of intake."""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class IntakeSettings(WorkerSettings):
    """`WATCHWORD_INTAKE_…`."""

    model_config = for_worker("intake")

    deadline_s: float = Field(5.0, gt=0, le=14, description="Seconds after which a request that waits is answered 503")
    batch_max: int = Field(200, ge=1, le=1_000, description="Requests that may share one transaction")
    waiting_max: int = Field(4_000, ge=1, le=100_000, description="Requests that may wait before more are refused")
    tenant_waiting_max: int = Field(
        1_000, ge=1, le=100_000, description="Of these, how many may be one tenant's, so that none crowds out the rest"
    )
    wait_max_s: float = Field(
        2.0, gt=0, le=14, description="Seconds that a request may wait to be decided; who would wait longer hears 503"
    )
    tenant_share: float = Field(
        0.2, ge=0, le=1, description="Share of what is let in that a tenant may hold while more comes than can be done"
    )
    outcomes_waiting_max: int = Field(
        1_000, ge=0, le=100_000, description="Requests that may wait for an outcome (Prefer: wait); others are not kept"
    )
    backlog_max_s: float = Field(
        20.0, gt=0, le=600, description="Age in seconds of the oldest unpublished event from which starts are refused"
    )
    ahead_max_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Seconds that a code may wait to be sent, by the present pace; from there on starts are refused",
    )
