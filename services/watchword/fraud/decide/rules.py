"""The ruleset: every threshold and weight as one value with a version, so that a decision can be made again."""

from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from math import log
from typing import Final

import msgspec

from watchword.events.risk_level_set import RiskLevel
from watchword.kernel.feature import Kind


class Rule(StrEnum):
    """The stable words of reasons. Words are only ever added; what one means never changes.

    `country_unverified_pileup` and `device_velocity` count what their names say: unverified sends of a country that
    is new for the tenant, and unverified sends of a device (not its distinct numbers).
    """

    RANGE_UNVERIFIED_PILEUP = "range_unverified_pileup"
    COUNTRY_UNVERIFIED_PILEUP = "country_unverified_pileup"
    IP_VELOCITY = "ip_velocity"
    DEVICE_VELOCITY = "device_velocity"
    TOO_FAST_FORM = "too_fast_form"
    NUMBER_TYPE = "number_type"
    COUNTRY_NOT_PERMITTED = "country_not_permitted"


RULE_OF: Final = {
    Kind.RANGE: Rule.RANGE_UNVERIFIED_PILEUP,
    Kind.COUNTRY: Rule.COUNTRY_UNVERIFIED_PILEUP,
    Kind.IP_NET: Rule.IP_VELOCITY,
    Kind.DEVICE: Rule.DEVICE_VELOCITY,
}


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part of the ruleset."""


class PileUp(_Part, frozen=True, kw_only=True):
    """When sends without success count against a range or a country.

    `blocked` and `elevated` are thresholds on the pressure, in natural log units; one send adds `Rules.sent_step`,
    about 1. Each code verified within the last hour raises both by `slack_per_verified`: where codes are known to
    arrive, more may be on their way at once. A country or range with `proven_max` verified codes (they fade with
    `proven_half_life_s`) is no longer new and cannot be blocked as a whole; 0 switches that off.
    """

    elevated: float
    blocked: float
    half_life_s: float
    slack_per_verified: float = 0.3
    proven_max: float = 0.0
    proven_half_life_s: float = 7 * 86_400.0


class Velocity(_Part, frozen=True, kw_only=True):
    """How many unverified sends a network or a device may show: in ten minutes until it is elevated, in an hour
    until it is blocked."""

    elevated_10min: float
    blocked_1h: float


class Cooling(_Part, frozen=True, kw_only=True):
    """How long a block lasts: `first_s`, then `factor` times longer with every repeat, `max_s` at most. A feature
    that was not blocked for `forgotten_s` starts from the first again. `elevated_s` is the life of an elevation."""

    first_s: float = 300.0
    factor: float = 4.0
    max_s: float = 43_200.0
    forgotten_s: float = 86_400.0
    elevated_s: float = 1_800.0


class Points(_Part, frozen=True, kw_only=True):
    """What each finding adds to the score, and the scores from which a request is delayed or blocked."""

    blocked: dict[str, float] = msgspec.field(
        default_factory=lambda: {"range": 90.0, "country": 80.0, "ip_net": 75.0, "device": 75.0}
    )
    elevated: dict[str, float] = msgspec.field(
        default_factory=lambda: {"range": 25.0, "country": 15.0, "ip_net": 20.0, "device": 20.0}
    )
    too_fast_form: float = 15.0
    gate: float = 100.0
    delay_at: float = 40.0
    block_at: float = 70.0


class Rules(_Part, frozen=True, kw_only=True, dict=True):
    """The whole ruleset.

    `conversion` is the share of sends expected to be verified, `attack_share` how much of that share an attack
    leaves: with 0.7 and 0.25 a range nobody has ever used is blocked by its ninth unverified send (Bernoulli CUSUM
    after Reynolds and Stoumbos, 1999).
    """

    version: str = "2026-11.1"
    conversion: float = 0.7
    attack_share: float = 0.25
    range: PileUp = PileUp(elevated=4.5, blocked=9.0, half_life_s=86_400.0)
    country: PileUp = PileUp(elevated=40.0, blocked=80.0, half_life_s=86_400.0, proven_max=100.0)
    ip_net: Velocity = Velocity(elevated_10min=10.0, blocked_1h=30.0)
    device: Velocity = Velocity(elevated_10min=4.0, blocked_1h=10.0)
    cooling: Cooling = Cooling()
    points: Points = Points()
    form_ms_min: float = 700.0
    delay_s: float = 4.0
    refused_types: tuple[str, ...] = (
        "premium_rate", "shared_cost", "pager", "uan", "voicemail", "toll_free", "satellite", "personal_number",
    )  # fmt: skip
    nodes_max: int = 200_000

    @cached_property
    def sent_step(self) -> float:
        """What one send adds to the pressure until its code is verified."""
        return log((1 - self.conversion * self.attack_share) / (1 - self.conversion))

    @cached_property
    def verified_step(self) -> float:
        """What a verified code takes off the pressure: its own send, and evidence of a good one."""
        return log(self.attack_share) - self.sent_step

    @cached_property
    def name(self) -> str:
        """The version, with a digest of the values behind a "+" where they are not the ones of that version."""
        if self == DEFAULT:
            return self.version
        return f"{self.version}+{blake2b(msgspec.json.encode(self), digest_size=4).hexdigest()}"

    def pile_up(self, kind: Kind) -> PileUp:
        """The thresholds of a range or a country."""
        return self.range if kind is Kind.RANGE else self.country

    def velocity(self, kind: Kind) -> Velocity:
        """The limits of a network or a device."""
        return self.ip_net if kind is Kind.IP_NET else self.device


DEFAULT: Final = Rules()
LEVEL_VALUE: Final = {RiskLevel.NORMAL: 0.0, RiskLevel.ELEVATED: 1.0, RiskLevel.BLOCKED: 2.0, RiskLevel.UNKNOWN: 0.0}
