"""The settings of fraud and of its judge: the thresholds that an operator may move. Whatever is moved shows in the
ruleset's name, so that every assessment says by which values it was made."""

import msgspec
from pydantic import Field

from watchword.fraud.decide.rules import DEFAULT, Rules
from watchword.runtime.settings import WorkerSettings, for_worker

_R = DEFAULT.range.pressure
_C = DEFAULT.country
_S = DEFAULT.cooling


class FraudSettings(WorkerSettings):
    """`WATCHWORD_FRAUD_…`."""

    model_config = for_worker("fraud")

    conversion: float = Field(DEFAULT.conversion, gt=0, lt=1, description="Share of sends expected to be verified")
    range_blocked: float = Field(_R, gt=0, description="Unverified sends (about) from which a new range is blocked")
    country_alarm: float = Field(
        _C.pressure, gt=0, description="Unverified sends (about) from which a country is in alarm"
    )
    ip_net_blocked: float = Field(
        DEFAULT.ip_net.pressure, gt=0, description="Unverified sends (about) from which a network is blocked"
    )
    device_blocked: float = Field(
        DEFAULT.device.pressure, gt=0, description="Unverified sends (about) from which a device is blocked"
    )
    block_first_s: float = Field(
        _S.first_s, gt=0, description="Length of a first block in seconds; repeats last longer"
    )
    block_max_s: float = Field(_S.max_s, gt=0, description="Longest block in seconds")
    delay_at: float = Field(DEFAULT.points.delay_at, ge=0, le=100, description="Score from which a send is delayed")
    block_at: float = Field(DEFAULT.points.block_at, ge=0, le=100, description="Score from which a send is blocked")
    delay_s: float = Field(DEFAULT.delay_s, ge=0, le=30, description="Seconds that a delayed send waits")
    nodes_max: int = Field(
        DEFAULT.nodes_max, ge=1_000, description="Features that one judge keeps in memory, about 0.8 kB each"
    )

    def rules(self) -> Rules:
        """The ruleset with these thresholds."""
        replace = msgspec.structs.replace
        return replace(
            DEFAULT,
            conversion=self.conversion,
            range=replace(DEFAULT.range, pressure=self.range_blocked),
            country=replace(_C, pressure=self.country_alarm),
            ip_net=replace(DEFAULT.ip_net, pressure=self.ip_net_blocked),
            device=replace(DEFAULT.device, pressure=self.device_blocked),
            cooling=replace(_S, first_s=self.block_first_s, max_s=self.block_max_s),
            points=replace(DEFAULT.points, delay_at=self.delay_at, block_at=self.block_at),
            delay_s=self.delay_s,
            nodes_max=self.nodes_max,
        )
