"""The settings of checks."""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class ChecksSettings(WorkerSettings):
    """`WATCHWORD_CHECKS_…`."""

    model_config = for_worker("checks")

    deadline_s: float = Field(4.0, gt=0, le=30, description="Seconds after which a check that waits is answered 503")
