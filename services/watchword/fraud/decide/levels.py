"""From findings to the level of a feature: blocked, elevated or normal, for how long, and when that is told."""

from datetime import UTC, datetime

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.fraud.decide.finding import Finding
from watchword.fraud.decide.node import DAY_LIFE_S, FAST_LIFE_S, Node
from watchword.fraud.decide.rules import Cooling, Rule, Rules
from watchword.fraud.decide.seen import Told

CALENDAR_END_S = 253_402_300_799.0
PROVEN_S = 14 * 86_400.0
_TOLD_AGAIN_POINTS = 10.0
_FAST_IS_SILENT = 3.0
_RELEASED = 0.6
_RELEASED_AGAIN = 0.9
# Names of their own: a member of an enumeration costs a search.
_NORMAL, _ELEVATED, _BLOCKED = RiskLevel.NORMAL, RiskLevel.ELEVATED, RiskLevel.BLOCKED


def conclude(
    feature: str, node: Node, findings: list[Finding], rules: Rules, told: Told, *, is_clean: bool, first_s: float = 0.0
) -> None:
    """Give the node the level that its findings ask for, and tell it if it changed or needs renewal. A block stands
    until it is over, or nothing bears it out any more and the evidence `is_clean`. Behind the first one two may ask
    before the next; behind a repeated one the evidence counts as it stands."""
    found = points = sum([each.points for each in findings])
    before = node.level
    if before is _BLOCKED:
        is_over = node.at_s >= node.until_s
        if not is_over and (points >= rules.points.block_at or not is_clean):
            return
        _release(node)
        if is_over and node.strikes <= 1:
            points = min(points, rules.points.delay_at)
    if points >= rules.points.block_at:
        _strike(node, rules.cooling, first_s or rules.cooling.first_s)
    elif points > 0:
        if not _elevate(node, points, rules.cooling):
            return
    elif before is _NORMAL:
        return
    else:
        node.level, node.until_s, node.proven_s = _NORMAL, 0.0, 0.0
    kept = points / (found or 1.0)
    reasons = [(each.code.value, each.value, each.threshold, each.points * kept) for each in findings]
    node.reasons = tuple(reasons)
    told.append(word_on(feature, node, rules))


def extended(feature: str, node: Node, at_s: float, rules: Rules, told: Told) -> None:
    """Somebody was refused at `at_s`: what refused him stands on, up to its end by cooling. Without that an alarm ends
    while its attack is being refused, for what is refused is no evidence, and lets one more send through to begin
    again: of an attack that only drips that is most of it."""
    cooling = rules.cooling
    if at_s >= node.until_s or node.level is _NORMAL:
        return
    quiet = quiet_s(node, cooling) if node.level is _BLOCKED else elevated_s(node, cooling)
    until_s = min(node.cool_s, at_s + quiet)
    if until_s - node.until_s >= cooling.quiet_s / 3 or (until_s == node.cool_s > node.until_s):
        node.until_s = until_s
        told.append(word_on(feature, node, rules))


def quiet_s(node: Node, cooling: Cooling) -> float:
    """How long nobody must try for a block to be over: a few times the gap between the sends seen."""
    if node.fast > _FAST_IS_SILENT:
        quiet = cooling.quiet_gaps * FAST_LIFE_S / node.fast
    else:
        quiet = cooling.quiet_gaps_slow * DAY_LIFE_S / max(node.day, 1.0)
    return min(max(quiet, cooling.quiet_s), cooling.quiet_max_s)


def elevated_s(node: Node, cooling: Cooling) -> float:
    """How long an elevation lasts: longer than the next send of what seldom sends, or whoever only drips would find it
    over every time."""
    return max(cooling.elevated_s, quiet_s(node, cooling))


def prove(feature: str, node: Node, code: Rule, rules: Rules, told: Told) -> None:
    """Say of a node that looks normal that users were verified there, once in a while."""
    if node.level is not _NORMAL or (node.proven_s and node.at_s - node.proven_s < PROVEN_S / 2):
        return
    node.proven_s = node.at_s
    reason = Reason(code=code.value, value=1.0, threshold=1.0, feature=feature)
    until = moment(node.at_s + PROVEN_S)
    told.append(RiskLevelSet(feature=feature, level=_ELEVATED, until=until, ruleset=rules.name, reasons=(reason,)))


def moment(at_s: float) -> datetime:
    """Seconds since the epoch as an instant; what lies beyond the calendar, at its end."""
    return datetime.fromtimestamp(min(max(at_s, 0.0), CALENDAR_END_S), UTC)


def _release(node: Node) -> None:
    """After a block some evidence is forgiven: it needs new evidence to block again, but less than the first time."""
    node.level = _NORMAL
    is_early = node.until_s < node.cool_s
    node.pressure *= _RELEASED_AGAIN if is_early or node.strikes > 1 else _RELEASED


def _strike(node: Node, cooling: Cooling, first_s: float) -> None:
    strikes = node.strikes if node.at_s - node.struck_s < cooling.forgotten_s else 0
    quiet = quiet_s(node, cooling)
    node.level = _BLOCKED
    node.cool_s = node.at_s + min(max(first_s, quiet) * cooling.factor**strikes, cooling.max_s)
    node.until_s = min(node.cool_s, node.at_s + max(quiet, min(first_s, cooling.first_s)))
    node.strikes = strikes + 1
    node.struck_s = node.cool_s


def _elevate(node: Node, points: float, cooling: Cooling) -> bool:
    """Whether an elevation to `points` is news."""
    lasts_s = elevated_s(node, cooling)
    is_news = (
        node.level is not _ELEVATED
        or abs(points - sum([reason[3] for reason in node.reasons])) >= _TOLD_AGAIN_POINTS
        or node.until_s - node.at_s <= lasts_s / 2
    )
    if is_news:
        node.level, node.until_s = _ELEVATED, node.at_s + lasts_s
        node.cool_s = node.at_s + cooling.max_s
    return is_news


def word_on(feature: str, node: Node, rules: Rules) -> RiskLevelSet:
    """What is to be told of a node as it stands."""
    reasons = [
        Reason(
            code=code, value=round(value, 3), threshold=round(threshold, 3), weight=round(points, 1), feature=feature
        )
        for code, value, threshold, points in node.reasons
    ]
    return RiskLevelSet(
        feature=feature,
        level=node.level,
        until=moment(node.until_s or node.at_s),
        ruleset=rules.name,
        reasons=tuple(reasons),
    )
