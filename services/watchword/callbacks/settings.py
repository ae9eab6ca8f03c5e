"""The settings of callbacks."""

from pydantic import Field

from watchword.runtime.settings import WorkerSettings, for_worker


class CallbacksSettings(WorkerSettings):
    """`WATCHWORD_CALLBACKS_…`."""

    model_config = for_worker("callbacks")

    allow_local: bool = Field(
        False, description="Whether endpoints on this machine are called, by plain http too: laptops and tests only"
    )
    timeout_s: float = Field(5.0, ge=0.1, le=30, description="Seconds one call may take, from look-up to answer")
    lookup_s: float = Field(2.0, ge=0.1, le=30, description="Seconds a look-up of a host name may take")
    inflight_max: int = Field(256, ge=1, le=10_000, description="Calls under way at a time, in this process")
    endpoint_inflight_max: int = Field(8, ge=1, le=1_000, description="Of these, calls to one endpoint")
    pause_s: float = Field(0.2, ge=0.01, le=10, description="Seconds between two looks for what is due")
    ca_file: str = Field("", description="Path of a certificate authority to trust instead of the system's")

    @property
    def lease_s(self) -> float:
        """How long a claim stands: a call and the writing of its result fit in twice."""
        return self.timeout_s * 2 + 2
