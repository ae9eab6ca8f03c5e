"""From features to points, reasons and an action: what enforce mode would do. Reads nothing but its arguments, so
the features recorded in an assessment and the same ruleset give the same answer again."""

from collections.abc import Mapping
from dataclasses import dataclass

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.rules import LEVEL_VALUE, RULE_OF, Rule, Rules
from watchword.kernel.feature import PILE_UPS, Kind

SCORE_MAX = 100
_ELEVATED = LEVEL_VALUE[RiskLevel.ELEVATED]
_BLOCKED = LEVEL_VALUE[RiskLevel.BLOCKED]

_LEVEL_NAMES = tuple((kind, f"{kind.value}_level") for kind in Kind)

Features = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Score:
    """What the rules make of a request. `value` runs from 0 to 100; reasons come in order of weight."""

    value: int
    action: Action
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Claims:
    """What is known of a request beside the levels: `form_ms` None where the platform did not say."""

    number_type: str
    country_permitted: bool
    trusted: bool
    form_ms: int | None
    send_no: int


def features_of(claims: Claims, levels: Mapping[Kind, RiskLevelSet], rules: Rules) -> dict[str, float]:
    """Every value the rules look at, by name: `<kind>_level` (1 elevated, 2 blocked) with `_value` and `_threshold`
    as the judge measured them, and the claims. What is absent counts as 0."""
    features: dict[str, float] = {"send_no": float(claims.send_no)}
    if claims.trusted:
        features["trusted"] = 1.0
    if claims.number_type in rules.refused_types:
        features["number_type_refused"] = 1.0
    if not claims.country_permitted:
        features["country_refused"] = 1.0
    if claims.form_ms is not None:
        features["form_ms"] = float(claims.form_ms)
    for kind, told in levels.items():
        features[f"{kind.value}_level"] = LEVEL_VALUE[told.level]
        for reason in told.reasons[:1]:
            features[f"{kind.value}_value"] = reason.value
            features[f"{kind.value}_threshold"] = reason.threshold
    return features


def score(features: Features, rules: Rules, names: Mapping[Kind, str] | None = None) -> Score:
    """The points, the reasons and what enforce mode does. `names` are the feature keys that reasons mention."""
    reasons = [*_gates(features, rules), *_levels(features, rules, names or {}), *_form(features, rules)]
    reasons.sort(key=lambda reason: -reason.weight)
    points = min(sum(reason.weight for reason in reasons), SCORE_MAX)
    return Score(round(points), _action(points, rules), tuple(reasons))


def _action(points: float, rules: Rules) -> Action:
    if points >= rules.points.block_at:
        return Action.BLOCK
    return Action.DELAY if points >= rules.points.delay_at else Action.ALLOW


def _gates(features: Features, rules: Rules) -> list[Reason]:
    """What is refused whatever else is known, and whoever vouches for it. Intake refuses the same; a request that
    came another way meets them here."""
    gates = (("number_type_refused", Rule.NUMBER_TYPE), ("country_refused", Rule.COUNTRY_NOT_PERMITTED))
    return [
        Reason(code=rule.value, value=1.0, threshold=1.0, weight=rules.points.gate)
        for name, rule in gates
        if features.get(name)
    ]


def _levels(features: Features, rules: Rules, names: Mapping[Kind, str]) -> list[Reason]:
    reasons = []
    for kind, name in _LEVEL_NAMES:
        level = features.get(name, 0.0)
        if level < _ELEVATED:
            continue
        points = (rules.points.blocked if level >= _BLOCKED else rules.points.elevated)[kind.value]
        if kind in PILE_UPS and features.get("trusted"):
            points = 0.0  # a user the platform vouches for is no part of what piles up around the number
        value, threshold = features.get(f"{kind.value}_value", level), features.get(f"{kind.value}_threshold", level)
        code = RULE_OF[kind].value
        reasons.append(Reason(code=code, value=value, threshold=threshold, weight=points, feature=names.get(kind, "")))
    return reasons


def _form(features: Features, rules: Rules) -> list[Reason]:
    form_ms = features.get("form_ms")
    if form_ms is None or form_ms >= rules.form_ms_min:
        return []
    weight = rules.points.too_fast_form
    return [Reason(code=Rule.TOO_FAST_FORM.value, value=form_ms, threshold=rules.form_ms_min, weight=weight)]
