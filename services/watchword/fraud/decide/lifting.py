"""What becomes of a feature that an operator lifted: what spoke against it is forgotten, and it begins anew."""

from datetime import UTC, datetime

from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.fraud.decide.node import fade, remember
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.seen import Nodes, Seen, Told


def take(feature: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The feature as normal, where it was not; None for a repeat. Its verified users and its past stay: they speak for
    it. Its repeats are forgotten too, so that a block that was wrong does not make the next one longer."""
    node = nodes.node(feature)
    if not remember(node, seen.digest):
        return None
    fade(node, seen.at_s)
    was = node.level
    node.level, node.reasons, node.share = RiskLevel.NORMAL, (), 0.0
    node.pressure = node.fast = node.day = node.wrong = node.denied = node.bare = 0.0
    node.until_s = node.cool_s = node.struck_s = 0.0
    node.strikes, node.places = 0, {}
    if was is RiskLevel.NORMAL:
        return []
    until = datetime.fromtimestamp(node.at_s, UTC)
    return [RiskLevelSet(feature=feature, level=RiskLevel.NORMAL, until=until, ruleset=rules.name)]
