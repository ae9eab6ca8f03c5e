"""The judge and the assessment together in memory, for a recorded stream: the same functions, without Kafka between.

What is live asked by the worker and answered by the judge a moment later is here one call after the other.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.assess import eased
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.observe import counted_under, figures_of, is_novel, is_suspect
from watchword.fraud.decide.rules import Rules
from watchword.fraud.decide.score import Claims, Score, parts_of, score
from watchword.fraud.decide.seen import Seen
from watchword.fraud.decide.subject import Subject
from watchword.fraud.decide.weigh import TAKES
from watchword.kernel.feature import Kind

_KEPT_AFTER_SHEDDING = 0.8
_NOTHING = (RiskLevel.NORMAL, RiskLevel.UNKNOWN)
_TENANT, _BLOCK, _SENT, _REFUSED = Kind.TENANT, Action.BLOCK, SignalKind.SENT, SignalKind.REFUSED


class Memory:
    """Nodes and levels of every feature, at most `nodes_max` of them: those that count least go first. What is told of
    a feature comes into force `late_s` seconds later."""

    def __init__(self, rules: Rules, late_s: float = 0.0) -> None:
        self._rules = rules
        self._late_s = late_s
        self._coming: deque[tuple[float, RiskLevelSet]] = deque()
        self._nodes: dict[str, Node] = defaultdict(Node)
        self.node: Callable[[str], Node] = self._nodes.__getitem__
        """The node of a feature, a new one where it is not known."""
        self._levels: dict[str, tuple[float, RiskLevelSet]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def nodes(self) -> Mapping[str, Node]:
        """Every node, by feature."""
        return self._nodes

    def tell(self, told: Sequence[RiskLevelSet], at_s: float) -> None:
        """What the judge says at `at_s`, kept when it comes into force."""
        if not self._late_s:
            self.take(told)
        else:
            self._coming.extend((at_s + self._late_s, each) for each in told)

    def take(self, told: Iterable[RiskLevelSet]) -> None:
        """Keep the newest word on each feature."""
        for each in told:
            if each.level in _NOTHING:
                self._levels.pop(each.feature, None)
            else:
                self._levels[each.feature] = (each.until.timestamp(), each)

    def levels(self, features: dict[Kind, str], at_s: float) -> dict[Kind, RiskLevelSet]:
        """The levels in force at `at_s` for the features of one request."""
        while self._coming and self._coming[0][0] <= at_s:
            self.take([self._coming.popleft()[1]])
        found, told_of = {}, self._levels.get
        for kind, feature in features.items():
            told = told_of(feature)
            if told is not None and at_s < told[0]:
                found[kind] = told[1]
        return found

    def shed(self, at_s: float) -> None:
        """Make room: of what holds no block, what was seen longest ago and least goes first."""
        if len(self._nodes) <= self._rules.nodes_max:
            return
        kept = int(self._rules.nodes_max * _KEPT_AFTER_SHEDDING)
        ranked = sorted(self._nodes.items(), key=lambda entry: _weight(entry[1], at_s), reverse=True)
        self._nodes = defaultdict(Node, ranked[:kept])
        self.node = self._nodes.__getitem__
        self._levels = {feature: told for feature, told in self._levels.items() if feature in self._nodes}


class Outcome(NamedTuple):
    """What became of one request: `answer` is what enforce mode would do."""

    action: Action
    answer: Score


class Engine:
    """Takes requests and what becomes of them in order of time."""

    def __init__(self, rules: Rules, *, enforces: bool = True, late_s: float = 0.0) -> None:
        self._rules = rules
        self._enforces = enforces
        self.memory = Memory(rules, late_s)

    def request(self, about: Subject, claims: Claims, identity: str, at_s: float) -> Outcome:
        """Assess one send, and count it if it is let through."""
        memory = self.memory
        levels = memory.levels(about.features, at_s)
        answer = score(parts_of(claims, levels, self._rules), self._rules, about.features, trusted=claims.trusted)
        answer = eased(answer, identity, self._rules)
        action = answer.action if self._enforces else Action.ALLOW
        kind = _REFUSED if action is _BLOCK else _SENT
        self._observe(about, kind, levels, at_s, repeated=claims.send_no > 1)
        memory.shed(at_s)
        return Outcome(action, answer)

    def outcome(self, about: Subject, kind: SignalKind, at_s: float, delay_s: float = -1.0) -> None:
        """Learn what became of a send that was let through."""
        levels = self.memory.levels(about.features, at_s)
        self._observe(about, kind, levels, at_s, delay_s)

    def _observe(
        self, about: Subject, kind: SignalKind, levels: dict[Kind, RiskLevelSet], at_s: float,
        delay_s: float = -1.0, *, repeated: bool = False,
    ) -> None:  # fmt: skip
        expected, surge = figures_of(levels.get(_TENANT))
        suspect, novel = is_suspect(levels), is_novel(about, levels)
        seen = Seen(kind, at_s, about.country, expected, surge, delay_s, "", suspect, novel)
        memory, rules = self.memory, self._rules
        for each, feature, place in counted_under(about, kind, levels, repeated=repeated):
            seen.place = place
            if told := TAKES[each](feature, seen, memory, rules):
                memory.tell(told, at_s)


def _weight(node: Node, at_s: float) -> tuple[bool, float, float]:
    is_held = node.level is RiskLevel.BLOCKED and at_s < node.until_s
    return is_held, node.at_s // 86_400, node.slow + node.day + node.pressure
