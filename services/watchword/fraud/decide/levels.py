"""How a feature looks, summed up over time: the judge's whole knowledge as pure functions on one node per feature.

Time is the time of the observations, in seconds since the epoch; nothing here asks a clock, so the same signals
give the same levels whenever they are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind
from watchword.fraud.decide.rules import RULE_OF, Cooling, PileUp, Rules, Velocity
from watchword.kernel.feature import PILE_UPS, Kind

RING = 64
_DIGEST = 6
_MINUTE_S = 60
_MINUTES = 60
_SHORT = 10
_FADED = 0.1
_CEILING = 1.5
_IDLE_S = 3_600.0
_CROWDED_IDLE_S = 60.0


class Node(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one feature. Fields are only ever added, at the end: nodes outlive their writers.

    `seen_s` is the newest observation's time, `pressure` the evidence of unverified sends as of then, `proven` the
    verified codes, faded. `minutes` holds (minute since the epoch, sent, verified) of the last hour, oldest first.
    `ring` remembers the last `RING` signals. `level`, `until_s` are what was told last; `strikes` counts blocks.
    """

    seen_s: float = 0.0
    pressure: float = 0.0
    proven: float = 0.0
    minutes: tuple[tuple[int, int, int], ...] = ()
    ring: bytes = b""
    level: RiskLevel = RiskLevel.NORMAL
    until_s: float = 0.0
    strikes: int = 0
    struck_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Weighed:
    """A feature after new observations: its node, the level to tell if it changed, and how many were repeats."""

    node: Node
    told: RiskLevelSet | None
    repeated: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a feature shows: the level its evidence asks for, what was measured against which threshold, and whether
    a block that is in force is still borne out."""

    level: RiskLevel
    value: float
    threshold: float
    bears_out: bool


def weigh(feature: str, kind: Kind, node: Node, observations: Iterable[Observation], rules: Rules) -> Weighed:
    """The feature after `observations`. Repeats change nothing; a level is told when it changes or needs renewal."""
    repeated = 0
    for observation in observations:
        after = observe(kind, node, observation, rules)
        repeated += after is node
        node = after
    node, reasons = _concluded(kind, node, rules)
    if reasons is None:
        return Weighed(node, None, repeated)
    return Weighed(node, _told(feature, node, reasons, rules), repeated)


def observe(kind: Kind, node: Node, observation: Observation, rules: Rules) -> Node:
    """The node after one observation; the very same node if it was seen before or says nothing to this version."""
    digest = blake2b(observation.signal_id.encode(), digest_size=_DIGEST).digest()
    if observation.kind is SignalKind.UNKNOWN or _remembers(node.ring, digest):
        return node
    at_s = observation.at.timestamp()
    node = released(kind, node, at_s, rules)
    sent, verified = _COUNTS[observation.kind]
    known = msgspec.structs.replace(
        node,
        seen_s=max(node.seen_s, at_s),
        minutes=counted(node.minutes, int(at_s) // _MINUTE_S, sent, verified),
        ring=(node.ring + digest)[-RING * _DIGEST :],
    )
    return _pressed(kind, known, node.seen_s, observation.kind, at_s, rules) if kind in PILE_UPS else known


# (sends, verified) that an observation adds to its minute. What ended unverified was counted when it was sent.
_COUNTS = {
    SignalKind.SENT: (1, 0),
    SignalKind.VERIFIED: (0, 1),
    SignalKind.UNVERIFIED: (0, 0),
}


def released(kind: Kind, node: Node, at_s: float, rules: Rules) -> Node:
    """The node once its block is over: half of the evidence is forgiven, so that it needs new evidence to block
    again, but less than the first time."""
    if node.level is not RiskLevel.BLOCKED or at_s < node.until_s:
        return node
    pressure = min(node.pressure, rules.pile_up(kind).blocked / 2) if kind in PILE_UPS else 0.0
    return msgspec.structs.replace(node, level=RiskLevel.NORMAL, pressure=pressure)


def measure(kind: Kind, node: Node, rules: Rules) -> Finding:
    """What the node shows as of `node.seen_s`."""
    if kind in PILE_UPS:
        return _piled_up(rules.pile_up(kind), node)
    return _rushed(rules.velocity(kind), node)


def _piled_up(limits: PileUp, node: Node) -> Finding:
    slack = _slack(limits, node)
    elevated, blocked = limits.elevated + slack, limits.blocked + slack
    is_new = not limits.proven_max or node.proven < limits.proven_max
    bears_out = node.pressure >= elevated
    if node.pressure >= blocked and is_new:
        return Finding(RiskLevel.BLOCKED, node.pressure, blocked, bears_out)
    return Finding(RiskLevel.ELEVATED if bears_out else RiskLevel.NORMAL, node.pressure, elevated, bears_out)


def _rushed(limits: Velocity, node: Node) -> Finding:
    hour = unverified(node.minutes)
    bears_out = hour >= limits.blocked_1h / 2
    if hour >= limits.blocked_1h:
        return Finding(RiskLevel.BLOCKED, hour, limits.blocked_1h, bears_out)
    newest = int(node.seen_s) // _MINUTE_S
    short = unverified([each for each in node.minutes if each[0] > newest - _SHORT])
    level = RiskLevel.ELEVATED if short >= limits.elevated_10min else RiskLevel.NORMAL
    return Finding(level, short, limits.elevated_10min, bears_out)


def _slack(limits: PileUp, node: Node) -> float:
    return limits.slack_per_verified * sum(verified for _, _, verified in node.minutes)


def counted(
    minutes: tuple[tuple[int, int, int], ...], minute: int, sent: int, verified: int
) -> tuple[tuple[int, int, int], ...]:
    """The buckets with one observation more, those older than an hour before the newest left out."""
    newest = max(minute, minutes[-1][0] if minutes else minute)
    kept = {each[0]: each for each in minutes if each[0] > newest - _MINUTES}
    if minute > newest - _MINUTES:
        _, sent_before, verified_before = kept.get(minute, (minute, 0, 0))
        kept[minute] = (minute, sent_before + sent, verified_before + verified)
    return tuple(kept[each] for each in sorted(kept))


def unverified(minutes: Sequence[tuple[int, int, int]]) -> float:
    """Sends whose code was not verified, over the given minutes; never below 0."""
    return max(0.0, float(sum(sent - verified for _, sent, verified in minutes)))


def forgettable(kind: Kind, node: Node, now_s: float, rules: Rules, *, crowded: bool) -> bool:
    """Whether nothing would be lost by dropping the node; when `crowded`, whether little would."""
    idle_s = now_s - node.seen_s
    if node.level is RiskLevel.BLOCKED and now_s < node.until_s:
        return False
    if crowded:
        return idle_s > _CROWDED_IDLE_S
    if kind not in PILE_UPS:
        return idle_s > max(_IDLE_S, rules.cooling.forgotten_s if node.strikes else 0.0)
    limits = rules.pile_up(kind)
    faded = node.pressure * fading(idle_s, limits.half_life_s) < _FADED
    unproven = limits.proven_max == 0 or node.proven * fading(idle_s, limits.proven_half_life_s) < 1
    return idle_s > _IDLE_S and faded and unproven


def _concluded(kind: Kind, node: Node, rules: Rules) -> tuple[Node, tuple[Reason, ...] | None]:
    """The node with the level its evidence asks for; the reasons if that is to be told, else None."""
    finding = measure(kind, node, rules)
    if node.level is RiskLevel.BLOCKED and finding.bears_out and node.seen_s < node.until_s:
        return node, None
    if finding.level is RiskLevel.NORMAL:
        if node.level is RiskLevel.NORMAL:
            return node, None
        return msgspec.structs.replace(node, level=RiskLevel.NORMAL, until_s=node.seen_s), ()
    reason = Reason(code=RULE_OF[kind].value, value=round(finding.value, 3), threshold=round(finding.threshold, 3))
    if finding.level is RiskLevel.BLOCKED:
        return _struck(node, rules.cooling), (reason,)
    if node.level is RiskLevel.ELEVATED and node.until_s - node.seen_s > rules.cooling.elevated_s / 2:
        return node, None
    until_s = node.seen_s + rules.cooling.elevated_s
    return msgspec.structs.replace(node, level=RiskLevel.ELEVATED, until_s=until_s), (reason,)


def _struck(node: Node, cooling: Cooling) -> Node:
    strikes = node.strikes if node.seen_s - node.struck_s < cooling.forgotten_s else 0
    until_s = node.seen_s + min(cooling.first_s * cooling.factor**strikes, cooling.max_s)
    return msgspec.structs.replace(
        node, level=RiskLevel.BLOCKED, until_s=until_s, strikes=strikes + 1, struck_s=until_s
    )


def _told(feature: str, node: Node, reasons: tuple[Reason, ...], rules: Rules) -> RiskLevelSet:
    return RiskLevelSet(
        feature=feature,
        level=node.level,
        until=datetime.fromtimestamp(node.until_s, UTC),
        ruleset=rules.name,
        reasons=tuple(msgspec.structs.replace(reason, feature=feature) for reason in reasons),
    )


def _pressed(kind: Kind, node: Node, before_s: float, signal: SignalKind, at_s: float, rules: Rules) -> Node:
    """The node with its pressure as of `seen_s`, it having stood as of `before_s`. A late observation counts for
    what would be left of it by now."""
    limits = rules.pile_up(kind)
    passed_s = node.seen_s - before_s if before_s else 0.0
    step = _step(signal, rules) * fading(node.seen_s - at_s, limits.half_life_s)
    pressure = node.pressure * fading(passed_s, limits.half_life_s) + step
    ceiling = _CEILING * (limits.blocked + _slack(limits, node))
    proven = node.proven * fading(passed_s, limits.proven_half_life_s) + (signal is SignalKind.VERIFIED)
    return msgspec.structs.replace(node, pressure=min(max(pressure, 0.0), ceiling), proven=proven)


def _step(signal: SignalKind, rules: Rules) -> float:
    match signal:
        case SignalKind.SENT:
            return rules.sent_step
        case SignalKind.VERIFIED:
            return rules.verified_step
        case _:
            return 0.0


def fading(passed_s: float, half_life_s: float) -> float:
    """What is left of 1 after `passed_s`."""
    return float(0.5 ** (passed_s / half_life_s)) if passed_s > 0 else 1.0


def _remembers(ring: bytes, digest: bytes) -> bool:
    found = ring.find(digest)
    while found >= 0 and found % _DIGEST:
        found = ring.find(digest, found + 1)
    return found >= 0
