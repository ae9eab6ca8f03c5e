"""One observation of one feature, whatever its kind: the judge's whole update."""

from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide import lifting, sources, tenants, trie
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.seen import Nodes, Seen, Told
from watchword.kernel.feature import LEAVES, TRIE, Kind

_LEAVES = frozenset(LEAVES)
_ABOVE = frozenset(TRIE) - _LEAVES


def weigh(kind: Kind, feature: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The levels that changed; None for a repeat. Observations of digits name the finest key; those above follow."""
    if seen.kind is SignalKind.LIFTED:
        return lifting.take(feature, seen, nodes, rules)
    if kind in _LEAVES:
        return trie.take(feature, seen, nodes, rules)
    if kind is Kind.TENANT:
        return tenants.take(feature, seen, nodes, rules)
    if kind in _ABOVE:
        return []
    return sources.take(kind, feature, seen, nodes, rules)
