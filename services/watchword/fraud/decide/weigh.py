"""One observation of one feature, whatever its kind: the judge's whole update."""

from collections.abc import Callable
from functools import partial

from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide import lifting, sources, tenants, trie
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.seen import Nodes, Seen, Told
from watchword.kernel.feature import LEAVES, SOURCES, Kind

_Take = Callable[[str, Seen, Nodes, Rules], Told | None]


def weigh(kind: Kind, feature: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The levels that changed; None for a repeat. Observations of digits name the finest key; those above follow."""
    if seen.kind is _LIFTED:
        return lifting.take(feature, seen, nodes, rules)
    take = TAKES.get(kind)
    return take(feature, seen, nodes, rules) if take is not None else []


_LIFTED = SignalKind.LIFTED
TAKES: dict[Kind, _Take] = {
    **dict.fromkeys(LEAVES, trie.take),
    Kind.TENANT: tenants.take,
    **{kind: partial(sources.take, kind) for kind in SOURCES},
}
"""What takes the observations of each kind; digits above the finest take none by themselves."""
