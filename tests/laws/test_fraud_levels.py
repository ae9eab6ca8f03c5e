"""Laws of fraud: evidence only ever adds, repeats are nothing, what is blocked feeds nothing."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fraud.facts import KEYS, NOW, asked, judged, requested, seen
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.fraud.decide.assess import decide
from watchword.fraud.decide.levels import Node, weigh
from watchword.fraud.decide.rules import DEFAULT, LEVEL_VALUE
from watchword.fraud.decide.score import score
from watchword.kernel.feature import Kind
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Done

KINDS = st.sampled_from(list(Kind))
SIGNALS = st.sampled_from([SignalKind.SENT, SignalKind.SENT, SignalKind.VERIFIED, SignalKind.UNVERIFIED])
# All within the shortest block: a block that came earlier is also over earlier.
MOMENTS = st.integers(min_value=0, max_value=280)
HISTORY = st.lists(st.tuples(SIGNALS, MOMENTS), max_size=40)
RISKS = st.dictionaries(KINDS, st.sampled_from([RiskLevel.NORMAL, RiskLevel.ELEVATED, RiskLevel.BLOCKED]))


def observations(history: list[tuple[SignalKind, int]]) -> list[Observation]:
    ordered = sorted(history, key=lambda each: each[1])
    return [seen(kind, number, at_s) for number, (kind, at_s) in enumerate(ordered)]


@given(kind=KINDS, history=st.lists(st.tuples(st.just(SignalKind.SENT), MOMENTS), max_size=40), more=MOMENTS)
def test_one_more_unverified_send_never_lowers_a_level(
    kind: Kind, history: list[tuple[SignalKind, int]], more: int
) -> None:
    known = observations(history)
    extra = sorted([*known, seen(SignalKind.SENT, 1_000, more)], key=lambda each: each.at)
    before, _ = judged(known, kind=kind)
    after, _ = judged(extra, kind=kind)
    assert LEVEL_VALUE[after.level] >= LEVEL_VALUE[before.level]
    assert after.pressure >= before.pressure - 1e-9


@given(kind=KINDS, history=HISTORY, extra=st.integers(min_value=1, max_value=10))
def test_unverified_sends_at_the_end_of_any_history_never_lower_a_level(
    kind: Kind, history: list[tuple[SignalKind, int]], extra: int
) -> None:
    node, _ = judged(observations(history), kind=kind)
    for number in range(extra):
        after, _ = judged([seen(SignalKind.SENT, 2_000 + number, 281)], kind=kind, node=node)
        assert LEVEL_VALUE[after.level] >= LEVEL_VALUE[node.level]
        node = after


@given(kind=KINDS, history=HISTORY, again=st.data())
def test_repeats_change_nothing(kind: Kind, history: list[tuple[SignalKind, int]], again: st.DataObject) -> None:
    known = observations(history)
    node, _ = judged(known, kind=kind)
    repeats = again.draw(st.lists(st.sampled_from(known), max_size=20)) if known else []
    weighed = weigh(KEYS[kind], kind, node, repeats, DEFAULT)
    assert (weighed.node, weighed.told, weighed.repeated) == (node, None, len(repeats))


@given(kind=KINDS, history=HISTORY, cut=st.integers(min_value=0, max_value=40))
def test_a_batch_torn_apart_and_delivered_again_gives_the_same_evidence(
    kind: Kind, history: list[tuple[SignalKind, int]], cut: int
) -> None:
    known = observations(history)
    whole, _ = judged(known, kind=kind)
    torn, _ = judged(known[:cut], kind=kind)
    torn, _ = judged(known, kind=kind, node=torn)
    assert torn == whole


@given(kind=KINDS, order=st.permutations(list(range(20))))
def test_the_order_in_which_sends_arrive_does_not_matter(kind: Kind, order: list[int]) -> None:
    known = [seen(SignalKind.SENT, number, number * 5) for number in range(20)]
    straight = Node()
    shuffled = Node()
    for number in range(20):
        straight = weigh(KEYS[kind], kind, straight, [known[number]], DEFAULT).node
        shuffled = weigh(KEYS[kind], kind, shuffled, [known[order[number]]], DEFAULT).node
    assert shuffled.minutes == straight.minutes
    assert abs(shuffled.pressure - straight.pressure) < 1e-6
    assert shuffled.level == straight.level


@given(risks=RISKS, worse=KINDS)
def test_a_worse_level_never_lowers_the_score(risks: dict[Kind, RiskLevel], worse: Kind) -> None:
    features = {f"{kind.value}_level": LEVEL_VALUE[risk] for kind, risk in risks.items()}
    level = features.get(f"{worse.value}_level", 0.0)
    raised = score({**features, f"{worse.value}_level": min(level + 1, 2.0)}, DEFAULT)
    assert raised.value >= score(features, DEFAULT).value


@given(risks=RISKS, mode=st.sampled_from(list(FraudMode)))
def test_what_is_blocked_feeds_nothing_and_what_is_let_through_feeds_every_feature(
    risks: dict[Kind, RiskLevel], mode: FraudMode
) -> None:
    verdict = decide(requested(), asked(levels=risks, mode=mode), NOW)
    assert isinstance(verdict, Done)
    [assessed, *signals] = [emit.event for emit in verdict.writes[0].emits]
    assert isinstance(assessed, VerificationAssessed)
    fed = {one.feature for each in signals if isinstance(each, SignalObserved) for one in each.observations}
    assert fed == (set() if assessed.action is Action.BLOCK else set(KEYS.values()))
    assert mode is FraudMode.ENFORCE or assessed.action is Action.ALLOW
