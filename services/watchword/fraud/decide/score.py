"""From what is known of a request to points, reasons and an action: what enforce mode would do. Reads nothing but its
arguments, so the features recorded in an assessment and the same ruleset give the same answer again."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.rules import Rule, Rules
from watchword.fraud.decide.tenants import GUESSES
from watchword.fraud.decide.trie import COARSE
from watchword.kernel.feature import SOURCES, TRIE, Kind

SCORE_MAX = 100
GATE, FORM = "gate", "form"
_TRIE = frozenset(each.value for each in TRIE)
_COARSE = frozenset(each.value for each in COARSE)
_TENANT, _COUNTRY = Kind.TENANT, Kind.COUNTRY
_SPEAKING = (RiskLevel.ELEVATED, RiskLevel.BLOCKED)
_SECOND = frozenset({Rule.RANGE_NOVEL.value, Rule.ASN_NOVEL.value})
_SOURCES = frozenset(each.value for each in SOURCES)

Features = Mapping[str, float]


class Part(NamedTuple):
    """One thing known of a request: of which kind of feature (or `GATE`, `FORM`), what was measured, its points."""

    kind: str
    code: str
    value: float
    threshold: float
    points: float


@dataclass(frozen=True, slots=True)
class Score:
    """What the rules make of a request. `value` runs from 0 to 100; reasons come in order of weight, those that only
    say where nobody came before behind those that say what happens."""

    value: int
    action: Action
    reasons: tuple[Reason, ...]


NOTHING: Final = Score(0, Action.ALLOW, ())
"""The score of a request that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What is known of a request beside the levels: `form_ms` None where the platform did not say; `trusted` where
    it vouches for the user, or the number was verified before; `known_networks` where it is known whose the network is
    that asks."""

    number_type: str
    country_permitted: bool
    trusted: bool
    form_ms: int | None
    send_no: int
    known_networks: bool = False


def parts_of(claims: Claims, levels: Mapping[Kind, RiskLevelSet], rules: Rules) -> list[Part]:
    """What is known of a request, each with the points it is worth by itself."""
    parts = [
        Part(kind.value, reason.code, reason.value, reason.threshold, reason.weight)
        for kind, told in levels.items()
        if kind is not _TENANT and told.level in _SPEAKING
        for reason in told.reasons
        if reason.weight
    ]
    parts += _novel(claims, levels, rules, {part.kind for part in parts})
    if claims.number_type in rules.refused_types:
        parts.append(Part(GATE, Rule.NUMBER_TYPE.value, 1.0, 1.0, rules.points.gate))
    if not claims.country_permitted:
        parts.append(Part(GATE, Rule.COUNTRY_NOT_PERMITTED.value, 1.0, 1.0, rules.points.gate))
    if claims.form_ms is not None and claims.form_ms < rules.form_ms_min:
        points = rules.points.too_fast_form
        parts.append(Part(FORM, Rule.TOO_FAST_FORM.value, float(claims.form_ms), rules.form_ms_min, points))
    return parts


def _novel(claims: Claims, levels: Mapping[Kind, RiskLevelSet], rules: Rules, measured: Set[str]) -> list[Part]:
    """While something piles up in the country: a range where nobody was verified, where nearly all users come to
    ranges in which somebody was. While something piles up there or nearer to the number, or wrong codes at the tenant:
    networks where nobody was verified."""
    tenant = levels.get(_TENANT)
    guesses, is_suspect = _figure(tenant, GUESSES, 0.0), not _TRIE.isdisjoint(measured)
    is_guessing = guesses >= rules.guesses
    if not is_suspect and not is_guessing:
        return []
    found, parts, points = [], [], rules.points
    if Kind.RANGE not in levels and _COUNTRY.value in measured:
        found.append((Kind.RANGE, Rule.RANGE_NOVEL, _figure(levels[_COUNTRY], Rule.NOVELTY, 1.0)))
    if claims.known_networks and Kind.ASN not in levels:
        share = _figure(tenant, Rule.NOVELTY, 1.0)
        found.append((Kind.ASN, Rule.ASN_NOVEL, share))
        if is_guessing and share <= rules.novelty:
            code = Rule.GUESS_BUDGET.value
            parts.append(Part(Kind.TENANT.value, code, guesses, rules.guesses, points.guesses))
    return parts + [
        Part(
            kind.value,
            code.value,
            round(share, 4),
            rules.novelty,
            points.novel if share <= rules.novelty else points.novel_unsure,
        )
        for kind, code, share in found
        if share <= rules.novelty_unsure
    ]


def _figure(told: RiskLevelSet | None, code: str, otherwise: float) -> float:
    """What was told under `code`, `otherwise` for nothing."""
    for reason in told.reasons if told is not None else ():
        if reason.code == code:
            return reason.value
    return otherwise


def features_of(claims: Claims, parts: Iterable[Part]) -> dict[str, float]:
    """Every value the rules look at, by name: `<kind>:<code>` the points, `…:value`, `…:threshold`."""
    features = {"send_no": float(claims.send_no)}
    if claims.trusted:
        features["trusted"] = 1.0
    for part in parts:
        name = f"{part.kind}:{part.code}"
        features[name] = part.points
        features[f"{name}:value"] = part.value
        features[f"{name}:threshold"] = part.threshold
    return features


def parts_in(features: Features) -> list[Part]:
    """The parts as `features_of` wrote them down."""
    return [
        Part(kind, code, features.get(f"{name}:value", 0.0), features.get(f"{name}:threshold", 0.0), points)
        for name, points in features.items()
        for kind, separator, code in [name.partition(":")]
        if separator and ":" not in code
    ]


def score(
    parts: Sequence[Part], rules: Rules, names: Mapping[Kind, str] | None = None, *, trusted: bool = False
) -> Score:
    """The points, the reasons and what enforce mode does. `names` are the feature keys that reasons mention.

    Of the digits count the worst ones, and the alarm of their country or operator on top; of those who ask, all. A
    user who is vouched for is no part of what piles up around the number, but never above a gate or a source.
    """
    if not parts:
        return NOTHING
    fine = _worst(parts, _TRIE - _COARSE)
    coarse = _worst(parts, _COARSE)
    reasons = []
    for part in parts:
        if part.kind in _TRIE and part.kind not in (fine, coarse):
            continue
        points = 0.0 if trusted and part.kind in _TRIE else part.points
        feature = (names or {}).get(Kind(part.kind), "") if part.kind in _TRIE or part.kind in _SOURCES else ""
        reasons.append(
            Reason(code=part.code, value=part.value, threshold=part.threshold, weight=points, feature=feature)
        )
    reasons.sort(key=lambda reason: (reason.code in _SECOND, -reason.weight))
    total = min(sum(reason.weight for reason in reasons), SCORE_MAX)
    return Score(round(total), action_at(total, rules), tuple(reasons))


def action_at(points: float, rules: Rules) -> Action:
    """What becomes of a request with so many points."""
    if points >= rules.points.block_at:
        return Action.BLOCK
    if points >= rules.points.challenge_at:
        return Action.CHALLENGE
    return Action.DELAY if points >= rules.points.delay_at else Action.ALLOW


def passes_without(answer: Score, rules: Rules) -> tuple[Reason, ...]:
    """The fewest reasons without which the request would not be blocked; none for one that is not blocked."""
    left, needless = float(sum(reason.weight for reason in answer.reasons)), []
    for reason in sorted(answer.reasons, key=lambda reason: -reason.weight):
        if action_at(left, rules) is not Action.BLOCK:
            break
        needless.append(reason)
        left -= reason.weight
    return tuple(needless)


def _worst(parts: Iterable[Part], kinds: frozenset[str]) -> str:
    """The kind among `kinds` whose parts have most points, "" for none."""
    totals: dict[str, float] = {}
    for part in parts:
        if part.kind in kinds:
            totals[part.kind] = totals.get(part.kind, 0.0) + part.points
    return max(totals, key=lambda kind: totals[kind]) if totals else ""
