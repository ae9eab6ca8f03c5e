"""How leading digits look: sends without success that pile up where no users explain them.

One observation of a number goes along its trail, from the country to the finest block of digits. A send adds evidence
to each, a verified code takes it back and more (Bernoulli CUSUM); how much, follows from the share expected there,
drawn from the coarser towards the finer. Evidence alone refuses nobody: there must also be more traffic than the past
and the peers explain, so that a route that is down, where everybody fails, is no attack.
"""

from collections.abc import Callable
from math import log
from typing import NamedTuple

from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide import faked
from watchword.fraud.decide.finding import Finding
from watchword.fraud.decide.levels import conclude, extended, prove, word_on
from watchword.fraud.decide.node import (
    BASE_WINDOW_MIN_S,
    DAY_LIFE_S,
    DAY_S,
    FADE_STEP_S,
    FAST_LIFE_S,
    Node,
    Past,
    base_of,
    base_window_s,
    fade,
    learn_delay,
    novelty,
    past_of,
    remember,
)
from watchword.fraud.decide.rules import PileUp, Rule, Rules
from watchword.fraud.decide.seen import Nodes, Seen, Told
from watchword.kernel.feature import Kind, trail_of

COARSE = (Kind.COUNTRY, Kind.OPERATOR)
_CEILING = 1.5
_MOST = 0.95
_LEARNED_UNDER_SUSPICION = 0.1
_BASE_MIN = 3.0
_PEERS_MIN = 20.0
_UNPROVEN_VERIFIED = 1.5
_UNPROVEN_EXPECTED = 2.0
_COARSE_AGE_MIN_S = 120.0
_ALARM_FROM = 0.6
_FIRST = 1.5
_NUMBERS_KEPT = 8
_CONCENTRATED = 0.75
_CONCENTRATED_MIN = 5.0
_SURGE_MIN, _SURGE_MAX = 0.3, 50.0
_SURE_FACTOR = 1.5
_VERIFIED_AGAIN_S = 3_600.0
# Names of their own: this runs for every node of every observation, and a member of an enumeration costs a search.
_SENT, _VERIFIED, _WRONG = SignalKind.SENT, SignalKind.VERIFIED, SignalKind.WRONG
_DELIVERED, _REFUSED = SignalKind.DELIVERED, SignalKind.REFUSED
_NORMAL, _NOVELTY = RiskLevel.NORMAL, Rule.NOVELTY
_COUNTRY, _RANGE, _ROW = Kind.COUNTRY, Kind.RANGE, Kind.ROW
_COUNTRY_PILE, _RANGE_PILE = Rule.COUNTRY_UNVERIFIED_PILEUP, Rule.RANGE_UNVERIFIED_PILEUP
_IN_A_ROW, _GUESSED = Rule.SEQUENTIAL_SUFFIX, Rule.GUESS_BUDGET
_PILED_UP = Rule.RANGE_UNVERIFIED_PILEUP.value
_OF_A_NUMBER = frozenset({_SENT, _VERIFIED})
_RANGE_OF_ROW, _ROWS_KEPT = -3, 8
_BESIDE_MIN, _BESIDE_SHARE = 1.9, 0.5
_GUESSED_MIN = 6.0
_GUESSED_SHARE = 1.0


Trail = list[tuple[Kind, str, Node]]
"""The kinds, features and nodes of a number, the coarsest first."""


class Excess(NamedTuple):
    """What is expected of a node over the half hour (`fast`) and the day, whether there is more, and the `share` of
    its traffic that neither verified codes nor the expectation explain."""

    fast: float
    day: float
    is_more: bool
    share: float


def take(leaf: str, seen: Seen, nodes: Nodes, rules: Rules) -> Told | None:
    """The trail of `leaf` after one observation: the levels that changed; None for a repeat."""
    finest = nodes.node(leaf)
    if seen.digest and not remember(finest, seen.digest):
        return None
    if seen.place and _is_asked_again(finest, seen):
        return []
    node_of = nodes.node
    trail = [(kind, feature, node_of(feature)) for kind, feature in trail_of(leaf, seen.country)]
    told: Told = []
    count = _COUNTS.get(seen.kind)
    if seen.kind is _SENT or seen.kind is _REFUSED:
        _note_row(trail, seen)
    if count is not None:
        _along(trail, seen, count, rules, told)
    elif seen.kind is _REFUSED:
        _refused(trail, seen, rules, told)
    else:
        _note(trail, seen)
    return told


def _note(trail: Trail, seen: Seen) -> None:
    """What bears on no level by itself: a wrong code, a message delivered."""
    if seen.kind is _WRONG:
        for _, _, node in trail:
            fade(node, seen.at_s)
            node.wrong += 1
    elif seen.kind is _DELIVERED:
        for _, _, node in trail:
            node.receipts += 1
            node.bare = node.bare - 1 if node.bare > 1.0 else 0.0


def _is_asked_again(finest: Node, seen: Seen) -> bool:
    """Whether this number was counted already: asked for within the day and not verified, for one user without
    reception is not five numbers; or verified within the hour, for one phone whose owner types its codes again and
    again must not make up for the numbers he pumps beside it. A few numbers are remembered, the newest; a moment below
    0 is that of a verified code."""
    if seen.kind not in _OF_A_NUMBER:
        return False
    places, is_send = finest.places, seen.kind is _SENT
    before_s = places.pop(seen.place, None)
    if before_s is None and len(places) >= _NUMBERS_KEPT:
        del places[next(iter(places))]
    was_verified = before_s is not None and before_s < 0 and seen.at_s + before_s < _VERIFIED_AGAIN_S
    if was_verified and before_s is not None:
        places[seen.place] = before_s
        return True
    places[seen.place] = seen.at_s if is_send else -seen.at_s
    return is_send and before_s is not None and 0 <= seen.at_s - before_s < DAY_S and before_s > 0


def _along(trail: Trail, seen: Seen, count: "Count", rules: Rules, told: Told) -> None:
    """Count an observation down the trail, and look at every node that may be worth it."""
    top, is_verified = trail[0][2], seen.kind is _VERIFIED
    above, alarm, attack_share, at_s = seen.expected or rules.conversion, 0.0, rules.attack_share, seen.at_s
    pile_ups, prior, least, usual = rules.pile_ups, rules.prior_sends, rules.conversion_min, rules.conversion
    past: Past | None = None
    for kind, feature, node in trail:
        if at_s - node.faded_s >= FADE_STEP_S:
            fade(node, at_s)
        elif at_s > node.at_s:
            node.at_s = at_s
        limits = pile_ups[kind]
        share = (node.verified_slow + prior * above) / (node.slow + prior)
        expected = above = least if share < least else _MOST if share > _MOST else share
        if _CONCENTRATED_MIN <= node.fast >= _CONCENTRATED * top.fast and expected < usual and kind not in COARSE:
            expected = usual
        step = log((1 - expected * attack_share) / (1 - expected))
        worth_a_look = count(node, step, seen, limits, rules)
        threshold = limits.pressure * (1 - rules.under_alarm * alarm) if alarm else limits.pressure
        if worth_a_look or node.pressure * 2 >= threshold or node.until_s:
            past = past or past_of(top)
            excess = _excess(node, top, past, seen, expected, rules)
            findings, alarm = _findings(kind, node, trail, excess, threshold, alarm, rules)
            if findings or node.level is not _NORMAL:
                conclude(feature, node, findings, rules, told, is_clean=node.pressure * 2 < threshold)
        if is_verified and kind is _RANGE:
            _settle(top, node)
            prove(feature, node, Rule.PROVEN, rules, told)


def _note_row(trail: Trail, seen: Seen) -> None:
    """Whether a number lies beside those that were asked for last in its range: what tells numbers in a row from
    numbers at random. What was refused tells it too, of a range that is known: it is no evidence, but gives it its
    name."""
    finest, row, _ = trail[-1]
    node = trail[_RANGE_OF_ROW][2] if finest is _ROW else None
    if node is None or (seen.kind is _REFUSED and not node.tried):
        return
    rows = node.places
    if rows.pop(row, None) is not None:
        node.beside += 1
    elif len(rows) >= _ROWS_KEPT:
        del rows[next(iter(rows))]
    rows[row] = seen.at_s
    node.tried += 1


def _refused(trail: Trail, seen: Seen, rules: Rules, told: Told) -> None:
    """What refuses stands on; and what is asked for in a row is called so, once that shows."""
    in_a_row = _follow_each_other(trail)
    for kind, feature, node in trail:
        extended(feature, node, seen.at_s, rules, told)
        if in_a_row and kind not in COARSE and node.reasons and node.reasons[0][0] == _PILED_UP:
            node.reasons = ((_IN_A_ROW.value, *node.reasons[0][1:]), *node.reasons[1:])
            told.append(word_on(feature, node, rules))


def _settle(top: Node, node: Node) -> None:
    """Once a country has a past, what share of its users comes to ranges where nobody was verified before."""
    if base_of(top) >= _PEERS_MIN and base_window_s(top) >= BASE_WINDOW_MIN_S:
        top.settled += 1
        top.novel += node.verified_slow < _FIRST


def _count_sent(node: Node, step: float, seen: Seen, limits: PileUp, rules: Rules) -> bool:
    node.slow += _LEARNED_UNDER_SUSPICION if node.pressure * 3 > limits.pressure else 1.0
    fast = node.fast = node.fast + 1
    node.day += 1
    ceiling = _CEILING * (limits.pressure + rules.slack_per_verified * node.verified_fast)
    pressure = node.pressure + step
    node.pressure = pressure if pressure < ceiling else ceiling
    return fast >= limits.surprise_min > 0


def _count_verified(node: Node, step: float, seen: Seen, limits: PileUp, rules: Rules) -> bool:
    node.verified_slow += _LEARNED_UNDER_SUSPICION if node.pressure * 3 > limits.pressure else 1.0
    verified = node.verified_fast = node.verified_fast + 1
    node.verified_day += 1
    pressure = node.pressure - step + rules.attack_log
    node.pressure = pressure if pressure > 0.0 else 0.0
    node.bare += 1
    node.wrong = node.wrong - 1 if node.wrong > 1.0 else 0.0
    if seen.delay_s >= 0:
        learn_delay(node, seen.delay_s, limits.delays)
    return verified >= faked.VERIFIED_MIN and limits.surprise_min > 0


def _count_denied(node: Node, step: float, seen: Seen, limits: PileUp, rules: Rules) -> bool:
    node.pressure += 2 * step - rules.attack_log
    node.denied += 1
    return limits.surprise_min > 0


def _count_confirmed(node: Node, step: float, seen: Seen, limits: PileUp, rules: Rules) -> bool:
    node.pressure = max(node.pressure - (step - rules.attack_log) / 2, 0.0)
    node.denied = max(node.denied - 1, 0.0)
    return False


Count = Callable[[Node, float, Seen, PileUp, Rules], bool]
_COUNTS: dict[SignalKind, Count] = {
    _SENT: _count_sent,
    _VERIFIED: _count_verified,
    SignalKind.DENIED: _count_denied,
    SignalKind.CONFIRMED: _count_confirmed,
}
"""What each kind of observation does to a node; answers whether more than its pressure is worth a look."""


def _excess(node: Node, top: Node, top_past: Past, seen: Seen, expected: float, rules: Rules) -> Excess:
    fast, day = _expectation(node, top, top_past, seen.surge or 1.0)
    limits = rules.excess
    more_fast = node.fast > limits.fast_factor * fast + (limits.fast_margin if fast else 0.0)
    more_day = node.day > limits.day_factor * day + (limits.day_margin if day else 0.0)
    share = 0.0
    if more_fast:
        share = _unexplained(node.fast, node.verified_fast / expected, fast)
    if more_day:
        by_day = _unexplained(node.day, node.verified_day / expected, day)
        share = by_day if by_day > share else share
    return Excess(fast, day, more_fast or more_day, share)


def _unexplained(sends: float, by_verified: float, by_past: float) -> float:
    explained = by_past * _SURE_FACTOR
    if by_verified > explained:
        explained = by_verified
    return 1 - explained / sends if explained < sends else 0.0


def _expectation(node: Node, top: Node, top_past: Past, surge: float) -> tuple[float, float]:
    """The sends expected of a node in the half hour and the day: its past, times what its peers see more than in
    theirs. 0 where the past is too short to say."""
    base = base_of(node)
    if base < _BASE_MIN:
        return 0.0, 0.0
    window_s = top_past.window_s if node is top else base_window_s(node)
    if window_s < BASE_WINDOW_MIN_S:
        return 0.0, 0.0
    rate = base / window_s
    surge_fast = surge_day = surge
    peers = top_past.base - base
    if top is not node and peers >= _PEERS_MIN:
        peer_rate = peers / top_past.window_s
        surge_fast = _times(top.fast - node.fast, peer_rate * FAST_LIFE_S)
        surge_day = _times(top.day - node.day, peer_rate * DAY_LIFE_S)
    return rate * FAST_LIFE_S * surge_fast, rate * DAY_LIFE_S * surge_day


def _times(seen: float, usual: float) -> float:
    times = (seen + 1) / (usual + 1)
    return _SURGE_MIN if times < _SURGE_MIN else _SURGE_MAX if times > _SURGE_MAX else times


def _findings(
    kind: Kind, node: Node, trail: Trail, excess: Excess, threshold: float, alarm: float, rules: Rules
) -> tuple[list[Finding], float]:
    """What the node shows, and the alarm for what lies below it."""
    node.share = excess.share
    if not excess.is_more:
        return [], alarm
    if node.verified_day and kind not in COARSE:
        threshold *= 1 + rules.slack_served * min(node.verified_day / rules.served_day, 1.0)
    threshold += rules.slack_per_verified * node.verified_fast
    piled_up = _piled_up(kind, node, _named(kind, node, trail), excess, threshold, rules)
    findings = [piled_up] if piled_up.points > 0 else []
    if kind is _COUNTRY and findings:
        findings.append(Finding(0.0, _NOVELTY, novelty(node), rules.novelty))
    rising = (node.pressure / threshold - _ALARM_FROM) / (1 - _ALARM_FROM)
    if rising > 0.0:
        alarm = max(alarm, excess.share * min(rising, 1.0))
    if kind not in COARSE:
        findings += [each for each in faked.findings(kind, node, trail[0][2], excess.fast, rules) if each.points > 0]
    return findings, alarm


def _piled_up(kind: Kind, node: Node, code: Rule, excess: Excess, threshold: float, rules: Rules) -> Finding:
    limits, points = rules.pile_ups[kind], rules.points
    part = node.pressure / threshold
    if part >= 1 and excess.share >= limits.share and _may_be_refused(kind, node, code, excess):
        return Finding(points.trie_blocked, code, node.pressure, threshold)
    if kind in COARSE:
        rising = min(max((part - _ALARM_FROM) / (1 - _ALARM_FROM), 0.0), 1.0) * excess.share
        scored = points.alarm_min + (points.alarm_max - points.alarm_min) * rising if rising else 0.0
        return Finding(scored, code, node.pressure, threshold)
    if part < 0.5:
        return Finding(0.0, code, node.pressure, threshold)
    rising = min((part - 0.5) * 2, 1.0) * excess.share
    scored = points.trie_elevated + (points.trie_elevated_max - points.trie_elevated) * rising
    return Finding(scored, code, node.pressure, threshold)


def _may_be_refused(kind: Kind, node: Node, code: Rule, excess: Excess) -> bool:
    """Whether what piled up is enough. A row is refused for what gave it its name alone: a few users without reception
    live in any hundred numbers."""
    return _unproven(node, excess) if kind in COARSE else kind is not _ROW or code is _IN_A_ROW


def _named(kind: Kind, node: Node, trail: Trail) -> Rule:
    """What the pile-up of a node is called. Who pumps types no codes; who guesses types wrong ones."""
    if node.wrong >= _GUESSED_MIN and node.wrong >= _GUESSED_SHARE * (node.fast - node.verified_fast):
        return _GUESSED
    if kind is _COUNTRY:
        return _COUNTRY_PILE
    return _IN_A_ROW if _follow_each_other(trail) else _RANGE_PILE


def _follow_each_other(trail: Trail) -> bool:
    """Whether most of what a range is asked for lies beside what it was asked for shortly before. Of numbers taken at
    random one in twelve does: eight rows of its hundred are remembered."""
    if trail[-1][0] is not _ROW:
        return False
    node = trail[_RANGE_OF_ROW][2]
    return node.beside >= _BESIDE_MIN and node.beside >= _BESIDE_SHARE * node.tried


def _unproven(node: Node, excess: Excess) -> bool:
    """Whether hardly a user is to be met there: only then may a whole country or operator be refused."""
    return (
        node.verified_day < _UNPROVEN_VERIFIED
        and excess.fast < _UNPROVEN_EXPECTED
        and node.at_s - node.born_s >= _COARSE_AGE_MIN_S
    )
