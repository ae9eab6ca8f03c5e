"""Facts that the tests of fraud begin with."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind
from watchword.events.verification import Signals
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide.assess import Asked
from watchword.fraud.decide.levels import Node, weigh
from watchword.fraud.decide.rules import DEFAULT, Rules
from watchword.kernel.feature import Kind, feature_key
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verification import State

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
VERIFICATION = UUID("019cadd4-6638-7c4e-9b1f-3f0c5d6e7a81")
RANGE = feature_key(Kind.RANGE, "+99890123", "shop")
KEYS = {
    Kind.RANGE: RANGE,
    Kind.COUNTRY: feature_key(Kind.COUNTRY, "UZ", "shop"),
    Kind.IP_NET: feature_key(Kind.IP_NET, "net", "shop"),
    Kind.DEVICE: feature_key(Kind.DEVICE, "phone", "shop"),
}
ALL_SIGNALS = Signals(ip_net_token="net", device_token="phone")


def requested(
    *, number_type: str = "mobile", signals: Signals = ALL_SIGNALS, ttl_s: int = 300
) -> VerificationRequested:
    return VerificationRequested(
        verification_id=VERIFICATION,
        tenant="shop",
        number_token="token",
        country="UZ",
        range="+99890123",
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


def level(kind: Kind, risk: RiskLevel) -> RiskLevelSet:
    reasons = (Reason(code="why", value=9.1, threshold=9.0),) if risk is not RiskLevel.NORMAL else ()
    until = NOW + timedelta(seconds=300)
    return RiskLevelSet(feature=KEYS[kind], level=risk, until=until, ruleset="test", reasons=reasons)


def seen(kind: SignalKind, number: int, at_s: float = 0.0, feature: str = RANGE) -> Observation:
    """Signal `number` of its kind, `at_s` seconds after `NOW`."""
    return Observation(feature=feature, kind=kind, at=NOW + timedelta(seconds=at_s), signal_id=f"{kind}:{number}")


def sends(count: int, *, first: int = 0, at_s: float = 0.0, apart_s: float = 1.0) -> list[Observation]:
    return [seen(SignalKind.SENT, first + n, at_s + n * apart_s) for n in range(count)]


def verified(count: int, *, first: int = 0, at_s: float = 0.0, apart_s: float = 1.0) -> list[Observation]:
    return [seen(SignalKind.VERIFIED, first + n, at_s + n * apart_s) for n in range(count)]


def judged(
    observations: Iterable[Observation], *, kind: Kind = Kind.RANGE, node: Node | None = None, rules: Rules = DEFAULT
) -> tuple[Node, list[RiskLevelSet]]:
    """The node after `observations`, one at a time, and every level told on the way."""
    node, told = node or Node(), []
    for observation in observations:
        weighed = weigh(KEYS[kind], kind, node, [observation], rules)
        node = weighed.node
        if weighed.told is not None:
            told.append(weighed.told)
    return node, told
