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

    `country_unverified_pileup` and `device_velocity` count what their names say: unverified sends of a country, and
    unverified sends of a device (not its distinct numbers). `verify_timing_uniform`: codes are typed in by a clock.
    `verified_without_receipt`: codes come back that no carrier says it delivered. `downstream_denied`: the platform
    says that verified users were none. `range_novel` and `asn_novel`: while something piles up in the country, a range
    or an operator of networks from where no code was ever verified. `trickle` marks a send that is let through a block
    to see whether it is over. `proven` and `novelty` are no reasons of a decision: the judge tells by them where users
    were verified, and what share of them comes where none was.
    """

    RANGE_UNVERIFIED_PILEUP = "range_unverified_pileup"
    COUNTRY_UNVERIFIED_PILEUP = "country_unverified_pileup"
    RANGE_VOLUME_SURPRISE = "range_volume_surprise"
    SEQUENTIAL_SUFFIX = "sequential_suffix"
    VERIFY_TIMING_UNIFORM = "verify_timing_uniform"
    VERIFIED_WITHOUT_RECEIPT = "verified_without_receipt"
    DOWNSTREAM_DENIED = "downstream_denied"
    RANGE_NOVEL = "range_novel"
    ASN_NOVEL = "asn_novel"
    IP_VELOCITY = "ip_velocity"
    IP_MANY_COUNTRIES = "ip_many_countries"
    ASN_VELOCITY = "asn_velocity"
    DEVICE_VELOCITY = "device_velocity"
    DEVICE_MANY_NUMBERS = "device_many_numbers"
    ACCOUNT_VELOCITY = "account_velocity"
    NUMBER_VELOCITY = "number_velocity"
    GUESS_BUDGET = "guess_budget"
    TOO_FAST_FORM = "too_fast_form"
    NUMBER_TYPE = "number_type"
    COUNTRY_NOT_PERMITTED = "country_not_permitted"
    TRICKLE = "trickle"
    PROVEN = "proven"
    NOVELTY = "novelty"


VELOCITY_OF: Final = {
    Kind.IP_NET: Rule.IP_VELOCITY,
    Kind.ASN: Rule.ASN_VELOCITY,
    Kind.DEVICE: Rule.DEVICE_VELOCITY,
    Kind.ACCOUNT: Rule.ACCOUNT_VELOCITY,
    Kind.NUMBER: Rule.NUMBER_VELOCITY,
    Kind.PHONE: Rule.NUMBER_VELOCITY,
}


TRIE_RULES: Final = frozenset(
    {
        *(Rule.RANGE_UNVERIFIED_PILEUP, Rule.COUNTRY_UNVERIFIED_PILEUP, Rule.RANGE_VOLUME_SURPRISE),
        *(Rule.SEQUENTIAL_SUFFIX, Rule.RANGE_NOVEL, Rule.ASN_NOVEL, Rule.VERIFY_TIMING_UNIFORM),
        *(Rule.VERIFIED_WITHOUT_RECEIPT, Rule.DOWNSTREAM_DENIED),
    }
)
"""What is said of where a number lies, not of who asks."""


OTHERS_MIN: Final = 3
"""Of so many tenants at the least tells what is counted over all of them (k-anonymity)."""
PHONE_TENANTS_MAX: Final = 12


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part of the ruleset."""


class PileUp(_Part, frozen=True, kw_only=True):
    """When sends without success count against leading digits.

    `pressure` is the evidence, in natural log units, from which they are blocked; half of it elevates. `share` is the
    part of their recent traffic that must be unexplained for a block, so that what mostly serves users is never
    blocked as a whole. `surprise_min` is the number of sends from which a volume can be surprising, 0 never; `delays`
    the number of codes over which the usual delay is remembered.
    """

    pressure: float
    share: float
    surprise_min: float = 0.0
    delays: float = 40.0


class Source(_Part, frozen=True, kw_only=True):
    """When a network, a device, an account or an operator of networks asks for too much: `pressure` of unverified
    sends; `numbers_day` different numbers in a day, verified or not, 0 for any; `wrong` codes typed more than the
    right ones explain; `countries` unverified at once, 0 for any."""

    pressure: float
    numbers_day: float = 0.0
    wrong: float = 12.0
    countries: int = 0


class OneNumber(_Part, frozen=True, kw_only=True):
    """How often one number may be asked for unverified: `scattered` times by ever changing sources, `single` times by
    the same one, both fading with half an hour, and `day` times in all. A first block lasts `first_s`."""

    scattered: float = 5.5
    single: float = 11.5
    day: float = 20.0
    wrong: float = 10.0
    first_s: float = 3_600.0


class OnePhone(_Part, frozen=True, kw_only=True):
    """At how many tenants one number may be asked for unverified within `window_s`, however often at each: from
    `doubted` on a send waits, from `tenants` on it is refused. Both are more than three others beside whoever asks, so
    that nobody learns from a refusal what a neighbour does. A first block lasts `first_s`."""

    doubted: int = OTHERS_MIN + 1
    tenants: int = OTHERS_MIN + 2
    window_s: float = 3_600.0
    first_s: float = 3_600.0

    def wrong(self) -> str:
        """As `Rules.wrong`."""
        if OTHERS_MIN < self.doubted <= self.tenants <= PHONE_TENANTS_MAX:
            return ""
        return f"`doubted` is more than {OTHERS_MIN}, `tenants` not below it, and neither more than {PHONE_TENANTS_MAX}"


class Surprise(_Part, frozen=True, kw_only=True):
    """When a volume is more than its past and its peers explain: the log-likelihood ratio of a Poisson count, divided
    by `dispersion` because users come in groups. `base_min` is the past, in sends, that its country must have."""

    challenged: float = 15.0
    blocked: float = 34.0
    dispersion: float = 1.5
    base_min: float = 20.0


class Excess(_Part, frozen=True, kw_only=True):
    """What is more than expected: `factor` times the expectation and `margin` sends above it, over the last half hour
    or so (fast) or day. Without that nothing is blocked: a route that is down loses codes, but brings no sends."""

    fast_factor: float = 1.6
    fast_margin: float = 4.0
    day_factor: float = 1.5
    day_margin: float = 5.0


class Cooling(_Part, frozen=True, kw_only=True):
    """How long a block lasts: `first_s`, then `factor` times longer with every repeat, `max_s` at most; but no longer
    than nobody tried for `quiet_gaps` times the usual gap, `quiet_s` at least and `quiet_max_s` at most. What was not
    blocked for `forgotten_s` starts from the first again. An elevation lasts for `elevated_s`, and as long as a block
    waits for the next try where that is longer."""

    first_s: float = 900.0
    factor: float = 2.0
    max_s: float = 86_400.0
    quiet_s: float = 900.0
    quiet_max_s: float = 43_200.0
    quiet_gaps: float = 3.0
    quiet_gaps_slow: float = 1.5
    forgotten_s: float = 86_400.0
    elevated_s: float = 1_800.0


class Points(_Part, frozen=True, kw_only=True):
    """What each finding adds to the score, and the scores from which a request is delayed, challenged or blocked."""

    trie_blocked: float = 90.0
    trie_elevated: float = 25.0
    trie_elevated_max: float = 55.0
    alarm_min: float = 15.0
    alarm_max: float = 50.0
    novel: float = 40.0
    novel_unsure: float = 10.0
    guesses: float = 30.0
    source_blocked: float = 80.0
    source_elevated: float = 15.0
    source_elevated_max: float = 45.0
    too_fast_form: float = 15.0
    gate: float = 100.0
    delay_at: float = 40.0
    challenge_at: float = 50.0
    block_at: float = 70.0


class Rules(_Part, frozen=True, kw_only=True, dict=True):
    """The whole ruleset.

    `conversion` is the share of sends expected to be verified where nothing is known yet, `attack_share` how much of
    the expected share an attack leaves: with 0.7 and 0.25 a range nobody has ever used is blocked by its ninth
    unverified send (Bernoulli CUSUM after Reynolds and Stoumbos, 1999). `prior_sends` is the weight of what lies
    above against what was seen. `under_alarm` is the part of its threshold that a full alarm above takes away.
    `slack_per_verified` is what each code verified in the last half hour or so adds to a threshold, `slack_served` the
    part by which that of a range, and of what is near it, grows once `served_day` codes were verified there within the
    day: where users are served some fail in a row, and of those who pump a few more get through.
    `guesses` is how many wrong codes for each right one a tenant sees before a request from networks where nobody was
    verified is held against it. `novelty` is the share of users that may come where nobody came before for that to
    count against a request while something piles up; `novelty_unsure` for it to count a little. `trickle` is the share
    of blocked sends let through.
    """

    version: str = "2026-12.6"
    conversion: float = 0.7
    conversion_min: float = 0.02
    attack_share: float = 0.25
    prior_sends: float = 40.0
    under_alarm: float = 0.75
    slack_per_verified: float = 0.25
    slack_served: float = 0.3
    served_day: float = 8.0
    country: PileUp = PileUp(pressure=30.0, share=0.95, delays=400.0)
    operator: PileUp = PileUp(pressure=24.0, share=0.93, delays=400.0)
    series: PileUp = PileUp(pressure=12.0, share=0.8, surprise_min=20.0)
    range: PileUp = PileUp(pressure=9.0, share=0.6, surprise_min=14.0)
    block: PileUp = PileUp(pressure=7.0, share=0.5, surprise_min=10.0)
    row: PileUp = PileUp(pressure=4.3, share=0.5, surprise_min=8.0)
    ip_net: Source = Source(pressure=9.0, countries=4)
    asn: Source = Source(pressure=60.0, wrong=60.0)
    device: Source = Source(pressure=5.0, numbers_day=8.0, wrong=8.0)
    account: Source = Source(pressure=5.0, numbers_day=8.0, wrong=8.0)
    number: OneNumber = OneNumber()
    phone: OnePhone = OnePhone()
    surprise: Surprise = Surprise()
    excess: Excess = Excess()
    cooling: Cooling = Cooling()
    points: Points = Points()
    form_ms_min: float = 700.0
    delay_s: float = 4.0
    guesses: float = 0.5
    novelty: float = 0.02
    novelty_unsure: float = 0.1
    trickle: float = 0.002
    refused_types: tuple[str, ...] = (
        "premium_rate", "shared_cost", "pager", "uan", "voicemail", "toll_free", "satellite", "personal_number",
    )  # fmt: skip
    nodes_max: int = 120_000  # with so many a judge stays below the alert for its memory (test_alerts.py)

    @cached_property
    def name(self) -> str:
        """The version, with a digest of the values behind a "+" where they are not the ones of that version."""
        if self == DEFAULT:
            return self.version
        return f"{self.version}+{blake2b(msgspec.json.encode(self), digest_size=4).hexdigest()}"

    def wrong(self) -> str:
        """What makes the values no ruleset, naming the field in backticks; "" for nothing."""
        shares = {"conversion": self.conversion, "attack_share": self.attack_share}
        for name, value in shares.items():
            if not 0 < value < 1:
                return f"`{name}` is a share between 0 and 1, not {value:g}"
        for name, value in {"under_alarm": self.under_alarm, "trickle": self.trickle}.items():
            if not 0 <= value < 1:
                return f"`{name}` is at least 0 and below 1, not {value:g}"
        if not 0 <= self.points.delay_at <= self.points.challenge_at <= self.points.block_at <= 100:
            return "`block_at` is not below `challenge_at`, that not below `delay_at`, all from 0 to 100"
        positive = {each.value: limits.pressure for each, limits in (self.pile_ups | self.sources).items()}
        positive |= {
            "first_s": self.cooling.first_s,
            "factor": self.cooling.factor,
            "dispersion": self.surprise.dispersion,
            "served_day": self.served_day,
        }
        for name, value in positive.items():
            if value <= 0:
                return f"`{name}` is above 0, not {value:g}"
        return self.phone.wrong() or self._crowded()

    def _crowded(self) -> str:
        return "" if self.nodes_max >= 1_000 else f"`nodes_max` is 1000 or more, not {self.nodes_max}"

    @cached_property
    def attack_log(self) -> float:
        """The natural logarithm of `attack_share`."""
        return log(self.attack_share)

    @cached_property
    def pile_ups(self) -> dict[Kind, PileUp]:
        """The thresholds of leading digits, by kind."""
        return {
            Kind.COUNTRY: self.country, Kind.OPERATOR: self.operator, Kind.SERIES: self.series,
            Kind.RANGE: self.range, Kind.BLOCK: self.block, Kind.ROW: self.row,
        }  # fmt: skip

    @cached_property
    def sources(self) -> dict[Kind, Source]:
        """The limits of who asks, by kind."""
        return {
            Kind.IP_NET: self.ip_net, Kind.ASN: self.asn, Kind.DEVICE: self.device, Kind.ACCOUNT: self.account,
        }  # fmt: skip


DEFAULT: Final = Rules()
LEVEL_VALUE: Final = {RiskLevel.NORMAL: 0.0, RiskLevel.ELEVATED: 1.0, RiskLevel.BLOCKED: 2.0, RiskLevel.UNKNOWN: 0.0}
