"""How a whole tenant fares: what share of its sends is verified, how many times more it sends than usual, and how many
wrong codes are typed for each right one. Others are measured by it, so it is told in coarse steps, and looked at every
`FADE_STEP_S`."""

from bisect import bisect_left, bisect_right

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.levels import moment
from watchword.fraud.decide.node import FAST_LIFE_S, Node, base_of, base_window_s, fade, novelty, remember
from watchword.fraud.decide.rules import Rule, Rules
from watchword.fraud.decide.seen import Nodes, Seen, Told

EXPECTED, SURGE, GUESSES = "tenant_conversion", "tenant_surge", "tenant_guesses"
STANDS_S = 7 * 86_400.0
_PRIOR_SENDS = 40.0
_PRIOR_SENDS_UNPROVEN = 10.0
_VERIFIED_MIN = 3.0
_EXPECTED_STEP = 0.05
_SURGE_STEPS = (1.0, 1.5, 2.25, 3.4, 5.0, 8.0)
_GUESS_STEPS = (0.0, 0.5, 1.0, 2.0)
_GUESSES_MIN = 20.0
_NOVELTY_STEPS = (0.01, 0.02, 0.05, 0.1, 1.0)
_SENT, _VERIFIED, _WRONG = SignalKind.SENT, SignalKind.VERIFIED, SignalKind.WRONG
_BASE_MIN = 100.0
_BASE_WINDOW_MIN_S = 86_400.0


def take(feature: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The tenant after one observation: its figures where they changed; None for a repeat."""
    node = nodes.node(feature)
    if not remember(node, seen.digest):
        return None
    looked_s = node.faded_s
    fade(node, seen.at_s)
    if not _count(node, seen) or (node.reasons and node.faded_s == looked_s):
        return []
    prior = _PRIOR_SENDS if _checks_codes(node) else _PRIOR_SENDS_UNPROVEN
    share = (node.verified_slow + prior * rules.conversion) / (node.slow + prior)
    expected = min(max(round(share / _EXPECTED_STEP) * _EXPECTED_STEP, rules.conversion_min), 0.95)
    surge = 1.0
    base, window_s = base_of(node), base_window_s(node)
    if base >= _BASE_MIN and window_s >= _BASE_WINDOW_MIN_S:
        times = (node.fast + 1) / (base / window_s * FAST_LIFE_S + 1)
        surge = _SURGE_STEPS[bisect_right(_SURGE_STEPS, max(times, 1.0)) - 1]
    novel = _NOVELTY_STEPS[bisect_left(_NOVELTY_STEPS, min(novelty(node), 1.0))]
    guesses = _GUESS_STEPS[bisect_right(_GUESS_STEPS, _guesses(node)) - 1]
    known = [reason[1] for reason in node.reasons] or [rules.conversion, 1.0, 1.0, 0.0]
    is_known = abs(known[0] - expected) < _EXPECTED_STEP * 0.9 and known[1:] == [surge, novel, guesses]
    if is_known and (not node.reasons or node.until_s - node.at_s > STANDS_S / 2):
        return []
    node.reasons = (
        (EXPECTED, expected, rules.conversion, 0.0),
        (SURGE, surge, 1.0, 0.0),
        (Rule.NOVELTY.value, novel, rules.novelty, 0.0),
        (GUESSES, guesses, rules.guesses, 0.0),
    )
    node.until_s = node.at_s + STANDS_S
    reasons = tuple(Reason(code=code, value=value, threshold=usual) for code, value, usual, _ in node.reasons)
    until = moment(node.until_s)
    return [RiskLevelSet(feature=feature, level=RiskLevel.ELEVATED, until=until, ruleset=rules.name, reasons=reasons)]


def _count(node: Node, seen: Seen) -> bool:
    """Take a send or a verified code into the counts. What goes where something piles up teaches nothing about the
    tenant, or an attack would lower what is expected of everybody; but a tenant that never has a code checked must be
    known for it."""
    if seen.kind is _WRONG:
        node.wrong += 1
        return True
    if seen.suspect and _checks_codes(node):
        return False
    if seen.kind is _SENT:
        node.fast += 1
        node.day += 1
        node.slow += 1
        return True
    if seen.kind is _VERIFIED:
        node.verified_fast += 1
        node.verified_slow += 1
        node.settled += 1
        node.novel += seen.novel
        return True
    return False


def _guesses(node: Node) -> float:
    """Wrong codes for each right one of the last half hour or so; 0 of too few to say."""
    return node.wrong / (node.verified_fast + 1) if node.wrong >= _GUESSES_MIN else 0.0


def _checks_codes(node: Node) -> bool:
    return node.verified_slow >= _VERIFIED_MIN
