"""Laws of fraud: evidence only adds, repeats are nothing, what is blocked feeds nothing, live is as recorded."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fraud.facts import KEYS, NOW, NOW_S, OBSERVED, Judged, asked, requested, seen
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.risk_level_set import Reason, RiskLevel
from watchword.events.signal_observed import SignalKind, SignalObserved
from watchword.events.verification import Signals, shared
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide import observe
from watchword.fraud.decide.assess import Asked, decide, learn, matters_who_asks
from watchword.fraud.decide.engine import Memory
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.observe import Known
from watchword.fraud.decide.recording import Recording
from watchword.fraud.decide.rules import DEFAULT, LEVEL_VALUE
from watchword.fraud.decide.score import Part, score
from watchword.fraud.decide.seen import Seen
from watchword.fraud.decide.weigh import weigh
from watchword.fraud.offline import Tally, score_file
from watchword.fraud.table import TableNodes
from watchword.kernel.event import Emit
from watchword.kernel.feature import TRIE, Kind, kind_of
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Done
from watchword.kernel.verification import State

OBSERVED_KINDS = (Kind.RANGE, Kind.IP_NET, Kind.DEVICE, Kind.NUMBER)
KINDS = st.sampled_from(OBSERVED_KINDS)
SIGNALS = st.sampled_from([SignalKind.SENT, SignalKind.SENT, SignalKind.VERIFIED, SignalKind.WRONG])
# All within the shortest block: a block that came earlier is also over earlier.
MOMENTS = st.integers(min_value=0, max_value=280)
HISTORY = st.lists(st.tuples(SIGNALS, MOMENTS), max_size=30)
RISKS = st.dictionaries(st.sampled_from(list(KEYS)), st.sampled_from([RiskLevel.ELEVATED, RiskLevel.BLOCKED]))


def observations(history: list[tuple[SignalKind, int]]) -> list[Seen]:
    ordered = sorted(history, key=lambda each: each[1])
    return [seen(kind, at_s, digest=number.to_bytes(6, "big")) for number, (kind, at_s) in enumerate(ordered)]


def judged(kind: Kind, *parts: list[Seen]) -> Node:
    judged = Judged()
    for part in parts:
        judged.see(KEYS[kind], *part)
    return judged.node(KEYS[kind])


@settings(max_examples=40, deadline=None)
@given(kind=KINDS, history=HISTORY, extra=st.integers(min_value=1, max_value=12))
def test_unverified_sends_at_the_end_of_any_history_never_lower_a_level(
    kind: Kind, history: list[tuple[SignalKind, int]], extra: int
) -> None:
    judged = Judged().see(KEYS[kind], *observations(history))
    node = judged.node(KEYS[kind])
    before = LEVEL_VALUE[node.level]
    for _ in range(extra):
        judged.see(KEYS[kind], seen(SignalKind.SENT, 281))
        assert LEVEL_VALUE[node.level] >= before
        before = LEVEL_VALUE[node.level]


@settings(max_examples=40, deadline=None)
@given(kind=KINDS, history=HISTORY, cut=st.integers(min_value=0, max_value=30))
def test_a_batch_torn_apart_and_delivered_again_gives_the_same_evidence(
    kind: Kind, history: list[tuple[SignalKind, int]], cut: int
) -> None:
    known = observations(history)
    whole, torn = judged(kind, known), judged(kind, known[:cut], known)
    assert msgspec.msgpack.encode(torn) == msgspec.msgpack.encode(whole)


@settings(max_examples=60, deadline=None)
@given(
    points=st.dictionaries(st.sampled_from(TRIE + OBSERVED_KINDS), st.floats(0, 100)),
    worse=KINDS,
    more=st.floats(0, 50),
)
def test_a_worse_finding_never_lowers_the_score(points: dict[Kind, float], worse: Kind, more: float) -> None:
    def answer(worth: dict[Kind, float]) -> int:
        return score([Part(kind.value, "why", 1.0, 1.0, each) for kind, each in worth.items()], DEFAULT).value

    assert answer({**points, worse: points.get(worse, 0.0) + more}) >= answer(points)


@settings(max_examples=40, deadline=None)
@given(risks=RISKS, mode=st.sampled_from(list(FraudMode)))
def test_what_is_blocked_feeds_nothing_and_what_is_let_through_feeds_every_feature(
    risks: dict[Kind, RiskLevel], mode: FraudMode
) -> None:
    verdict = decide(requested(), asked(levels=risks, mode=mode), NOW)
    assert isinstance(verdict, Done)
    [assessed, *signals] = [emit.event for emit in verdict.writes[0].emits]
    assert isinstance(assessed, VerificationAssessed)
    told = [one for each in signals if isinstance(each, SignalObserved) for one in each.observations]
    fed = {one.feature for one in told if one.kind is SignalKind.SENT}
    assert fed == (set() if assessed.action is Action.BLOCK else OBSERVED)
    assert mode is FraudMode.ENFORCE or assessed.action is Action.ALLOW


class Live:
    """The worker and the judge as they run, their topics replaced by calls: events in, signals to a table of bytes,
    levels to what the next request is assessed by; numbers that were verified to a set of rows."""

    def __init__(self) -> None:
        self.table: dict[bytes, bytes] = {}
        self.known: set[object] = set()
        self.levels = Memory(DEFAULT)

    def assess(self, event: VerificationRequested, at_s: float) -> VerificationAssessed:
        now, signals = NOW + timedelta(seconds=at_s), event.signals
        about = observe.subject_of(event, signals)
        levels = self.levels.levels(about.features, NOW_S + at_s)
        facts = Asked(State.REQUESTED, 0, DEFAULT, FraudMode.ENFORCE, None, levels)
        if matters_who_asks(event, facts):
            facts = replace(facts, known=(event.tenant, event.number_token) in self.known)
        verdict = decide(event, facts, now)
        assert isinstance(verdict, Done)
        [assessed, *signalled] = verdict.writes[0].emits
        self.judge(signalled)
        assert isinstance(assessed.event, VerificationAssessed)
        return assessed.event

    def learn(self, event: VerificationEnded | FeedbackGiven, at_s: float) -> None:
        about = observe.subject_of(event, event.signals)
        known = Known(about, self.levels.levels(about.features, NOW_S + at_s))
        verdict = learn(event, known, NOW + timedelta(seconds=at_s))
        assert isinstance(verdict, Done)
        for write in verdict.writes:
            change = {"remember_verified": self.known.add, "forget_verified": self.known.discard}[write.statement]
            change(write.row[:2])
        self.judge(list(verdict.emits))

    def judge(self, emits: list[Emit]) -> None:
        for emit in emits:
            assert isinstance(emit.event, SignalObserved)
            nodes = TableNodes(self.table)
            for one in emit.event.observations:
                kind = kind_of(one.feature)
                assert kind is not None
                self.levels.take(weigh(kind, one.feature, observe.seen_of(one), nodes, DEFAULT) or [])
            self.table.update({key: told for each in nodes.changed().values() for key, told in each.items() if told})


def request(number: int, signals: Signals, digits: str, tenant: str = "shop") -> VerificationRequested:
    return msgspec.structs.replace(
        requested(signals=signals, ttl_s=10_000_000),
        verification_id=UUID(int=number),
        tenant=tenant,
        range=digits,
        number_token=signals.phone_token,
    )


def tokens(number: str, ip: str) -> Signals:
    """What intake says of a number and an address, each name as plain as it is: only what is equal counts."""
    return Signals(
        ip_net_token=ip.rpartition(".")[0],
        owner_token=".".join(ip.split(".")[:2]),
        block_token=number[-4],
        row_token=number[-3],
        phone_token=number,
    )


STREAM = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans(), st.integers(1, 400), st.booleans()),
    min_size=40,
    max_size=120,
)


Stream = list[tuple[int, int, bool, int, bool]]


class Moment(NamedTuple):
    """One request, `at_s` seconds after `NOW`, whether its code comes back, and whether the platform then says that its
    user was none."""

    number: int
    at_s: float
    to: str
    ip: str
    comes_back: bool
    tenant: str = "shop"
    disowned: bool = False


def moments(stream: Stream) -> Iterator[Moment]:
    """Some come again whose code came back; of every seventh user the platform thinks otherwise."""
    at_s, served = 0.0, list[str]()
    for number, (line, net, comes_back, gap_s, again) in enumerate(stream):
        at_s = round(at_s + gap_s / 10, 1)
        to = served.pop(0) if again and served else f"+998901{line}3{number * (97 if line else 1):04d}"
        served += [to] if comes_back else []
        yield Moment(number, at_s, to, f"10.{net}.1.9", comes_back, disowned=number % 7 == 0)


def recorded(asked: Iterable[Moment]) -> list[dict[str, Any]]:
    """What `watchword fraud score` makes of the same stream, from its file to its file."""
    lines: list[dict[str, Any]] = []
    for each in asked:
        said = {"id": str(UUID(int=each.number)), "tenant": each.tenant, "to": each.to, "ip": each.ip}
        lines.append({"kind": "request", "at": NOW_S + each.at_s, **said})
        if each.comes_back:
            lines.append({"kind": "verified", "at": NOW_S + each.at_s + 0.05, "id": said["id"]})
        if each.comes_back and each.disowned:
            lines.append({"kind": "feedback", "at": NOW_S + each.at_s + 0.05, "id": said["id"], "good": False})
    source, sink = BytesIO(b"\n".join(map(msgspec.json.encode, lines))), BytesIO()
    assert list(score_file(source, sink, Recording(DEFAULT), Tally())) == []
    return [msgspec.json.decode(each) for each in sink.getvalue().splitlines()]


def lived(asked: Iterable[Moment]) -> list[dict[str, Any]]:
    """What the live path makes of it, told as a recording is."""
    live, told = Live(), []
    for each in asked:
        event = request(each.number, tokens(each.to, each.ip), each.to[:-4], each.tenant)
        assessed = live.assess(event, each.at_s)
        reasons = [
            {"code": why.code, "value": why.value, "threshold": why.threshold, "weight": why.weight}
            for why in assessed.reasons
        ]
        identity, action = str(assessed.verification_id), assessed.action.value
        told.append({"id": identity, "action": action, "score": assessed.score, "reasons": reasons})
        if each.comes_back and assessed.action is not Action.BLOCK:
            live.learn(approved(event, each.at_s), each.at_s + 0.05)
            if each.disowned:
                word = FeedbackGiven(**shared(event), good=False, feedback_no=1, sent=True, signals=event.signals)
                live.learn(word, each.at_s + 0.05)
    return told


@settings(max_examples=12, deadline=None)
@given(stream=STREAM)
def test_the_live_path_and_a_recording_give_the_same_scores(stream: Stream) -> None:
    asked = list(moments(stream))
    assert lived(asked) == recorded(asked)


def test_one_number_asked_for_through_many_tenants_is_refused_live_as_in_a_recording() -> None:
    asked = [
        Moment(n, n * 20.0, "+998901234567", f"10.{n}.1.9", comes_back=n == 3, tenant=f"platform-{n % 9}")
        for n in range(30)
    ]
    told = lived(asked)
    assert told == recorded(asked)
    actions = [each["action"] for each in told]
    assert actions[:4] == ["allow"] * 4 and actions[8:] == ["block"] * 22
    assert told[-1]["reasons"][0] == {"code": "number_velocity", "value": 1.0, "threshold": 1.0, "weight": 80.0}


@pytest.mark.parametrize(("disowned", "action"), [(False, "allow"), (True, "block")])
def test_a_number_verified_before_passes_a_blocked_range_live_as_in_a_recording(disowned: bool, action: str) -> None:
    known, others = "+998901234567", [f"+99890123{n * 97:04d}" for n in range(20)]
    asked = [Moment(0, 0.0, known, "10.1.1.9", comes_back=True, disowned=disowned)]
    asked += [Moment(n, n * 5.0, to, f"10.{n}.1.9", comes_back=False) for n, to in enumerate(others, start=1)]
    asked += [Moment(30, 120.0, known, "10.1.1.9", comes_back=False)]
    told = lived(asked)
    assert told == recorded(asked)
    assert [each["action"] for each in told][-2:] == ["block", action]


def approved(event: VerificationRequested, asked_s: float) -> VerificationEnded:
    requested_at = NOW + timedelta(seconds=asked_s)
    said = shared(event)
    return VerificationEnded(
        **said, state=Ending.APPROVED, reason="told", requested_at=requested_at, signals=event.signals
    )


def test_a_reason_of_the_judge_is_what_a_request_is_told() -> None:
    judged = Judged().see(KEYS[Kind.RANGE], *(seen(SignalKind.SENT, float(n)) for n in range(12)))
    about = observe.subject_of(requested(), Signals())
    judged.memory.take(judged.told)
    levels = judged.memory.levels(about.features, NOW_S + 13)
    assert any(isinstance(reason, Reason) and reason.weight >= 70 for reason in levels[Kind.RANGE].reasons)
