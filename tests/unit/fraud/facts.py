"""Facts that the tests of fraud begin with."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.events.verification import Signals
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide.assess import Asked
from watchword.fraud.decide.engine import Memory
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.rules import DEFAULT, Rules
from watchword.fraud.decide.seen import Seen
from watchword.fraud.decide.weigh import weigh
from watchword.kernel.feature import OF_ALL, Kind, feature_key, kind_of
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verification import State

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
NOW_S = NOW.timestamp()
HOUR_S, DAY_S = 3_600.0, 86_400.0
VERIFICATION = UUID("019cadd4-6638-7c4e-9b1f-3f0c5d6e7a81")
DIGITS = "+99890123"
RANGE = feature_key(Kind.RANGE, DIGITS, "shop")
KEYS = {
    Kind.COUNTRY: feature_key(Kind.COUNTRY, "UZ", "shop"),
    Kind.OPERATOR: feature_key(Kind.OPERATOR, "+99890", "shop"),
    Kind.SERIES: feature_key(Kind.SERIES, "+9989012", "shop"),
    Kind.RANGE: RANGE,
    Kind.IP_NET: feature_key(Kind.IP_NET, "net", "shop"),
    Kind.DEVICE: feature_key(Kind.DEVICE, "phone", "shop"),
    Kind.NUMBER: feature_key(Kind.NUMBER, "token", "shop"),
    Kind.TENANT: feature_key(Kind.TENANT, OF_ALL, "shop"),
}
OBSERVED = {KEYS[kind] for kind in (Kind.TENANT, Kind.RANGE, Kind.IP_NET, Kind.DEVICE, Kind.NUMBER)}
ALL_SIGNALS = Signals(ip_net_token="net", device_token="phone")
SENT, VERIFIED = SignalKind.SENT, SignalKind.VERIFIED


def requested(
    *, number_type: str = "mobile", signals: Signals = ALL_SIGNALS, ttl_s: int = 300
) -> VerificationRequested:
    return VerificationRequested(
        verification_id=VERIFICATION,
        tenant="shop",
        number_token="token",
        country="UZ",
        range=DIGITS,
        purpose="login",
        channel="sms",
        policy="default",
        policy_version=1,
        expires_at=NOW + timedelta(seconds=ttl_s),
        number_type=number_type,
        signals=signals,
    )


def asked(
    *,
    levels: dict[Kind, RiskLevel] | None = None,
    mode: FraudMode = FraudMode.ENFORCE,
    countries: frozenset[str] | None = frozenset({"UZ"}),
    state: State = State.REQUESTED,
    sends_assessed: int = 0,
    rules: Rules = DEFAULT,
) -> Asked:
    told = {kind: level(kind, risk) for kind, risk in (levels or {}).items()}
    return Asked(state=state, sends_assessed=sends_assessed, rules=rules, mode=mode, countries=countries, levels=told)


def level(kind: Kind, risk: RiskLevel, points: float | None = None) -> RiskLevelSet:
    weight = points if points is not None else 90.0 if risk is RiskLevel.BLOCKED else 25.0
    reasons = (Reason(code="range_unverified_pileup", value=9.1, threshold=9.0, weight=weight),)
    return RiskLevelSet(
        feature=KEYS[kind],
        level=risk,
        until=NOW + timedelta(seconds=300),
        ruleset="test",
        reasons=reasons if risk is not RiskLevel.NORMAL else (),
    )


class Judged:
    """Nodes that were told things, and every level they answered with."""

    def __init__(self, rules: Rules = DEFAULT) -> None:
        self.rules = rules
        self.memory = Memory(rules)
        self.told: list[RiskLevelSet] = []

    def see(self, feature: str, *seen: Seen) -> "Judged":
        for each in seen:
            kind = kind_of(feature)
            assert kind is not None
            self.told += weigh(kind, feature, each, self.memory, self.rules) or []
        return self

    def node(self, feature: str = RANGE) -> Node:
        return self.memory.node(feature)

    def levels(self, feature: str = RANGE) -> list[RiskLevel]:
        """What was told of a feature, without the news that users are verified there."""
        return [each.level for each in self.told if each.feature == feature and _is_about_risk(each)]

    def last(self, feature: str = RANGE) -> RiskLevelSet:
        return [each for each in self.told if each.feature == feature][-1]


def seen(kind: SignalKind, at_s: float = 0.0, *, place: str = "", delay_s: float = -1.0, digest: bytes = b"") -> Seen:
    """One observation, `at_s` seconds after `NOW`, in Uzbekistan."""
    return Seen(kind, NOW_S + at_s, "UZ", place=place, delay_s=delay_s, digest=digest)


def sends(count: int, *, at_s: float = 0.0, apart_s: float = 1.0) -> list[Seen]:
    return [seen(SENT, at_s + n * apart_s) for n in range(count)]


def verified(count: int, *, at_s: float = 0.0, apart_s: float = 1.0, delay_s: float = 20.0) -> list[Seen]:
    return [seen(VERIFIED, at_s + n * apart_s, delay_s=delay_s) for n in range(count)]


def served(judged: Judged, features: Iterable[str], *, days: float, per_day: float, share: float = 0.75) -> float:
    """Let users be served in turn by `features` for some days; answers the seconds after `NOW` at which that ends."""
    turn = list(features)
    for n in range(int(days * per_day)):
        at_s = n * DAY_S / per_day
        feature = turn[n % len(turn)]
        judged.see(feature, seen(SENT, at_s, place=f"{n}"))
        if n * 7919 % 100 < share * 100:
            judged.see(feature, seen(VERIFIED, at_s + 20, place=f"{n}", delay_s=8.0 + n * 7 % 40))
    return days * DAY_S


def _is_about_risk(told: RiskLevelSet) -> bool:
    return not told.reasons or any(reason.weight for reason in told.reasons)
