"""Signs of codes that are verified by whoever pumps: a volume nothing explains, a clock that types, codes that come
back though no carrier delivered them, users the platform disowns."""

from math import log

from watchword.fraud.decide.finding import Finding
from watchword.fraud.decide.node import BASE_WINDOW_MIN_S, Node, base_of, base_window_s
from watchword.fraud.decide.rules import Rule, Rules
from watchword.kernel.feature import Kind

VERIFIED_MIN = 5.0
_BELOW_RECEIPTS = (Kind.BLOCK, Kind.ROW)
# Names of their own: a member of an enumeration costs a search.
_VOLUME, _TIMING = Rule.RANGE_VOLUME_SURPRISE, Rule.VERIFY_TIMING_UNIFORM
_NO_RECEIPT = Rule.VERIFIED_WITHOUT_RECEIPT
_DELAYS_MIN = 8.0
_REFERENCE_MIN = 30.0
_VARIANCE_MIN = 0.001
_UNIFORM, _UNIFORM_SURE = 8.0, 16.0
_BARE_MIN = 6.0
_BARE_SHARE = 0.6
_RECEIPTS_MIN, _RECEIPTS_SHARE = 30.0, 0.4
_DENIED_MIN, _DENIED_SHARE = 2.5, 0.3
_NEVER_SEEN, _NEVER_SEEN_SHARE = 0.2, 0.02
_SUSPECT, _SURE = 55.0, 80.0
_HINT = 40.0


def findings(kind: Kind, node: Node, top: Node, expected: float, rules: Rules) -> list[Finding]:
    """What speaks against the verified codes of a node with more traffic than expected; without points: nothing."""
    found = [_disowned(node)] if node.denied >= _DENIED_MIN else []
    if node.fast >= rules.pile_ups[kind].surprise_min:
        found.append(_surprise(node, top, expected, rules))
    if node.verified_fast >= VERIFIED_MIN:
        found.append(_uniform(node, top))
        if kind not in _BELOW_RECEIPTS:
            found.append(_bare(node, top))
    return found


def _surprise(node: Node, top: Node, expected: float, rules: Rules) -> Finding:
    limits = rules.surprise
    points = 0.0
    expected += _NEVER_SEEN + _NEVER_SEEN_SHARE * (top.fast - node.fast)
    ratio = 0.0
    if node.fast > expected and base_of(top) >= limits.base_min and base_window_s(top) >= BASE_WINDOW_MIN_S:
        ratio = (node.fast * log(node.fast / expected) - node.fast + expected) / limits.dispersion
        points = _SURE if ratio >= limits.blocked else _SUSPECT if ratio >= limits.challenged else 0.0
    threshold = limits.blocked if points == _SURE else limits.challenged
    return Finding(points, _VOLUME, ratio, threshold)


def _uniform(node: Node, top: Node) -> Finding:
    """Delays that vary much less than those of the country: the log-likelihood ratio of the two variances."""
    ratio = 0.0
    if node.delays >= _DELAYS_MIN and top.delays >= _REFERENCE_MIN:
        usual, own = max(top.delay_var, _VARIANCE_MIN), max(node.delay_var, _VARIANCE_MIN)
        if own < usual:
            ratio = min(node.delays, 40.0) / 2 * (log(usual / own) - 1 + own / usual)
    points = _SURE if ratio >= _UNIFORM_SURE else _HINT if ratio >= _UNIFORM else 0.0
    return Finding(points, _TIMING, ratio, _UNIFORM)


def _bare(node: Node, top: Node) -> Finding:
    """Verified codes beyond receipts, where the country's carriers report on most sends."""
    reports = top.receipts >= _RECEIPTS_MIN and top.receipts >= _RECEIPTS_SHARE * top.slow
    is_bare = reports and node.bare >= _BARE_MIN and node.bare >= _BARE_SHARE * node.verified_day
    return Finding(_SURE if is_bare else 0.0, _NO_RECEIPT, node.bare, _BARE_MIN)


def _disowned(node: Node) -> Finding:
    is_disowned = node.denied >= _DENIED_MIN and node.denied >= _DENIED_SHARE * node.verified_day
    return Finding(_SURE if is_disowned else 0.0, Rule.DOWNSTREAM_DENIED, node.denied, _DENIED_MIN)
