"""What one request and one ending lead to: every branch."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from tests.unit.fraud.facts import ALL_SIGNALS, KEYS, NOW, OBSERVED, RANGE, VERIFICATION, asked, requested
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.code_issued import CodeIssued
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Signals, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.fraud.decide import observe
from watchword.fraud.decide.assess import decide, eased, flagged, learn, matters_who_asks
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.decide.score import Score
from watchword.fraud.decide.subject import subject
from watchword.kernel.event import Emit, Event
from watchword.kernel.feature import TRIE, Kind, shard_of
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Dead, Done, Write
from watchword.kernel.verification import ENDED, LIVE, State

HOUR = timedelta(hours=1)


def resent(send_no: int) -> ResendRequested:
    return ResendRequested(**shared(requested()), send_no=send_no, signals=ALL_SIGNALS)


def parts(verdict: object) -> tuple[VerificationAssessed, list[SignalObserved]]:
    assert isinstance(verdict, Done)
    [write] = verdict.writes
    assert (write.statement, write.key) == ("assess", str(VERIFICATION))
    [assessed, *signals] = write.emits
    assert assessed.counted and not any(each.counted for each in signals)
    assert isinstance(assessed.event, VerificationAssessed)
    return assessed.event, [each.event for each in signals if isinstance(each.event, SignalObserved)]


def features_seen(signals: list[SignalObserved]) -> set[str]:
    return {one.feature for each in signals for one in each.observations}


def test_a_request_is_assessed_and_its_features_are_told() -> None:
    assessed, signals = parts(decide(requested(), asked(), NOW))
    assert (assessed.action, assessed.mode, assessed.score) == (Action.ALLOW, Mode.ENFORCE, 0)
    assert (assessed.ruleset, assessed.features) == (DEFAULT.name, {"send_no": 1.0})
    assert features_seen(signals) == OBSERVED
    assert {one.signal_id for each in signals for one in each.observations} == {f"sent:{VERIFICATION}:1"}
    assert {one.kind for each in signals for one in each.observations} == {SignalKind.SENT}


def test_a_request_without_signals_tells_its_tenant_range_and_number() -> None:
    _, signals = parts(decide(requested(signals=Signals()), asked(), NOW))
    assert features_seen(signals) == {KEYS[kind] for kind in (Kind.TENANT, Kind.RANGE, Kind.NUMBER)}


def test_a_resend_counts_for_its_number_alone() -> None:
    _, signals = parts(decide(resent(2), asked(state=State.ISSUED, sends_assessed=1), NOW))
    assert features_seen(signals) == {KEYS[Kind.NUMBER]}


def test_a_blocked_send_feeds_nothing_and_only_tells_who_refused_that_somebody_still_tries() -> None:
    assessed, signals = parts(decide(requested(), asked(levels={Kind.RANGE: RiskLevel.BLOCKED}), NOW))
    assert (assessed.action, assessed.would, assessed.score) == (Action.BLOCK, Action.BLOCK, 90)
    assert {one.kind for each in signals for one in each.observations} == {SignalKind.REFUSED}
    assert features_seen(signals) == {RANGE}


def test_monitor_mode_allows_what_it_would_block_and_learns_from_it() -> None:
    facts = asked(levels={Kind.RANGE: RiskLevel.BLOCKED}, mode=FraudMode.MONITOR)
    assessed, signals = parts(decide(requested(), facts, NOW))
    assert (assessed.action, assessed.would, assessed.mode) == (Action.ALLOW, Action.BLOCK, Mode.MONITOR)
    assert assessed.reasons[0].code == "range_unverified_pileup"
    assert features_seen(signals) == OBSERVED


@pytest.mark.parametrize(
    ("action", "would", "reason", "wanted"),
    [
        (Action.ALLOW, Action.ALLOW, "", False),
        (Action.DELAY, Action.DELAY, "", False),
        (Action.ALLOW, Action.BLOCK, "range_unverified_pileup", True),
        (Action.ALLOW, Action.CHALLENGE, "", True),
        (Action.ALLOW, Action.ALLOW, "trickle", True),
    ],
)
def test_what_fraud_objects_to_is_flagged_whatever_becomes_of_it(
    action: Action, would: Action, reason: str, wanted: bool
) -> None:
    reasons = (Reason(code=reason, value=1, threshold=1),) if reason else ()
    told, _ = parts(decide(requested(), asked(), NOW))
    assert flagged(msgspec.structs.replace(told, action=action, would=would, reasons=reasons)) is wanted


def test_a_flag_is_written_with_the_assessment() -> None:
    for level in (RiskLevel.BLOCKED, RiskLevel.ELEVATED):
        verdict = decide(requested(), asked(levels={Kind.RANGE: level}, mode=FraudMode.MONITOR), NOW)
        assert isinstance(verdict, Done)
        assert verdict.writes[0].row == (1, level is RiskLevel.BLOCKED)


def test_a_suspicious_send_waits_in_enforce_mode_only() -> None:
    points = msgspec.structs.replace(DEFAULT.points, challenge_at=60.0)
    eager = msgspec.structs.replace(DEFAULT, points=points)
    levels = {Kind.IP_NET: RiskLevel.ELEVATED, Kind.DEVICE: RiskLevel.ELEVATED}
    assessed, _ = parts(decide(requested(), asked(levels=levels, rules=eager), NOW))
    assert (assessed.action, assessed.not_before) == (Action.DELAY, NOW + timedelta(seconds=4))
    monitored, _ = parts(decide(requested(), asked(levels=levels, mode=FraudMode.MONITOR, rules=eager), NOW))
    assert (monitored.action, monitored.would, monitored.not_before) == (Action.ALLOW, Action.DELAY, None)


def test_a_country_the_tenant_does_not_permit_is_refused_and_an_unknown_tenant_refuses_nothing() -> None:
    refused, _ = parts(decide(requested(), asked(countries=frozenset({"IN"})), NOW))
    assert (refused.action, refused.reasons[0].code) == (Action.BLOCK, "country_not_permitted")
    unknown, _ = parts(decide(requested(), asked(countries=None), NOW))
    assert unknown.action is Action.ALLOW


def test_a_request_whose_time_is_over_is_passed_on_and_counted_nowhere() -> None:
    assessed, signals = parts(decide(requested(ttl_s=300), asked(), NOW + timedelta(seconds=300)))
    assert assessed.action is Action.ALLOW
    assert signals == []


def test_an_assessment_of_what_is_not_there_is_dead() -> None:
    assert decide(requested(), None, NOW) == Dead("unknown_verification")


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_is_left_alone(state: State) -> None:
    assert decide(requested(), asked(state=state), NOW) == Done.unchanged()


@pytest.mark.parametrize(("send_no", "sends_assessed"), [(1, 1), (2, 0), (2, 2), (3, 1)])
def test_only_the_next_send_is_assessed(send_no: int, sends_assessed: int) -> None:
    event: Event = requested() if send_no == 1 else resent(send_no)
    assert decide(event, asked(state=State.ISSUED, sends_assessed=sends_assessed), NOW) == Done.unchanged()


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_live_verification_is_assessed(state: State) -> None:
    assessed, _ = parts(decide(requested(), asked(state=state), NOW))
    assert assessed.verification_id == VERIFICATION


def test_an_event_of_another_kind_changes_nothing() -> None:
    other = CodeIssued(**shared(requested()), code_version=1, send_no=1, digits=6, template="", locale="")
    assert decide(other, asked(), NOW) == learn(other, None, NOW) == Done.unchanged()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (Ending.APPROVED, SignalKind.VERIFIED),
        (Ending.EXPIRED, None),
        (Ending.FAILED, None),
        (Ending.LOCKED, None),
        (Ending.BLOCKED, None),
        (Ending.CANCELLED, None),
        (Ending.UNKNOWN, None),
    ],
)
def test_an_ending_is_learned_from(state: Ending, kind: SignalKind | None) -> None:
    ended = VerificationEnded(**shared(requested()), state=state, reason="told", requested_at=NOW, signals=ALL_SIGNALS)
    verdict = learn(ended, None, NOW)
    assert isinstance(verdict, Done)
    remembered = Write("remember_verified", "shop/token", ("shop", "token", NOW))
    assert verdict.writes == ((remembered,) if kind else ())
    signals = [each.event for each in verdict.emits if isinstance(each.event, SignalObserved)]
    assert features_seen(signals) == (OBSERVED if kind else set())
    assert {one.kind for each in signals for one in each.observations} == ({kind} if kind else set())


def gathered(emits: tuple[Emit, ...]) -> dict[int, list[Observation]]:
    seen: list[Observation] = []
    for emit in emits:
        assert isinstance(emit.event, SignalObserved)
        seen.extend(emit.event.observations)
    return observe.by_shard(seen)


def sent(number: int, at: datetime = NOW, digits: str = "+99890123") -> tuple[Emit, ...]:
    about = subject("shop", "UZ", digits, (), {Kind.NUMBER: "token"})
    return observe.of_send(about, SignalKind.SENT, {}, str(UUID(int=number)), 1, at)


def test_signals_travel_one_event_a_shard_and_none_is_lost() -> None:
    emits: tuple[Emit, ...] = ()
    for n in range(50):
        emits += sent(n, digits=f"+99890{n % 7}")
    merged = observe.merged(gathered(emits))
    events = [each.event for each in merged if isinstance(each.event, SignalObserved)]
    assert len(merged) == len({event.shard for event in events}) <= 8
    assert sum(len(event.observations) for event in events) == 150
    for emit, event in zip(merged, events, strict=True):
        assert emit.key == str(event.shard)
        assert {shard_of(one.feature) for one in event.observations} == {event.shard}


def test_a_great_many_signals_of_one_shard_travel_in_several_events() -> None:
    seen = [each for n in range(2_500) for each in gathered(sent(n))[shard_of(RANGE)] if each.feature == RANGE]
    parts = [emit.event for emit in observe.merged({6: seen}) if isinstance(emit.event, SignalObserved)]
    assert [len(part.observations) for part in parts] == [1_000, 1_000, 500]


def test_merged_signals_have_an_id_that_follows_from_what_they_hold() -> None:
    one, same, other = (observe.merged(gathered(emits)) for emits in (sent(1), sent(1, NOW + HOUR), sent(2)))
    assert [each.subject for each in one] == [each.subject for each in same]
    assert not {each.subject for each in one} & {each.subject for each in other}


def test_a_wrong_code_and_a_delivery_are_learned_from_and_what_else_carriers_say_is_not() -> None:
    right = CodeChecked(**shared(requested()), result=CheckResult.APPROVED, check_no=1, checks_left=4)
    wrong = msgspec.structs.replace(right, result=CheckResult.WRONG, signals=Signals(ip_net_token="net"))
    assert {one.kind for each in learned(wrong) for one in each.observations} == {SignalKind.WRONG}
    assert features_seen(learned(wrong)) == {KEYS[each] for each in (Kind.NUMBER, Kind.RANGE, Kind.TENANT, Kind.IP_NET)}
    assert learned(right) == []
    delivered = ReceiptRecorded(
        **shared(requested()), attempt_id=VERIFICATION, account="a", state=ReceiptWord.DELIVERED
    )
    assert features_seen(learned(delivered)) == {RANGE}
    assert learned(msgspec.structs.replace(delivered, state=ReceiptWord.EXPIRED)) == []


def test_a_few_blocks_are_let_through_to_see_whether_they_are_over() -> None:
    rules = msgspec.structs.replace(DEFAULT, trickle=0.05)
    blocked = Score(90, Action.BLOCK, (Reason(code="range_unverified_pileup", value=9, threshold=9, weight=90.0),))
    passed = [eased(blocked, str(n), rules).action is Action.ALLOW for n in range(2_000)]
    assert 0.03 < sum(passed) / len(passed) < 0.07
    by_network = Score(80, Action.BLOCK, (Reason(code="ip_velocity", value=9, threshold=9, weight=80.0),))
    assert all(eased(by_network, str(n), rules) == by_network for n in range(200))


@pytest.mark.parametrize(("good", "kind"), [(True, SignalKind.CONFIRMED), (False, SignalKind.DENIED)])
def test_a_platforms_word_on_its_user_is_told_under_every_feature(good: bool, kind: SignalKind) -> None:
    word = FeedbackGiven(**shared(requested()), good=good, feedback_no=2, sent=True, signals=ALL_SIGNALS)
    assert features_seen(learned(word)) == OBSERVED
    seen = [one for each in learned(word) for one in each.observations]
    assert {(one.kind, one.signal_id) for one in seen} == {(kind, f"feedback:{VERIFICATION}:2")}
    assert learned(msgspec.structs.replace(word, sent=False)) == []


def test_a_number_is_a_known_users_no_more_once_the_platform_disowns_him() -> None:
    word = FeedbackGiven(**shared(requested()), good=False, feedback_no=1, sent=True)
    forgotten = Write("forget_verified", "shop/token", ("shop", "token"))
    for said, writes in (({}, (forgotten,)), ({"good": True}, ()), ({"sent": False}, ())):
        verdict = learn(msgspec.structs.replace(word, **said), None, NOW)
        assert isinstance(verdict, Done) and verdict.writes == writes


def learned(event: Event) -> list[SignalObserved]:
    verdict = learn(event, None, NOW)
    assert isinstance(verdict, Done)
    return [each.event for each in verdict.emits if isinstance(each.event, SignalObserved)]


def test_the_shard_of_a_feature_is_part_of_the_topics_layout() -> None:
    assert len({shard_of(KEYS[kind]) for kind in TRIE[:4]}) == 1, "all digits of a calling code of a tenant share one"
    assert [shard_of(KEYS[kind]) for kind in (Kind.RANGE, Kind.IP_NET, Kind.DEVICE)] == [7, 7, 5]


def silenced(*kinds: Kind, trusted: bool = False, mode: FraudMode = FraudMode.ENFORCE) -> VerificationAssessed:
    facts = asked(levels={Kind.RANGE: RiskLevel.BLOCKED, Kind.DEVICE: RiskLevel.BLOCKED}, mode=mode)
    event = requested(signals=msgspec.structs.replace(ALL_SIGNALS, trusted=trusted))
    return parts(decide(event, replace(facts, silenced=frozenset(kinds)), NOW))[0]


def test_a_block_is_silent_only_if_the_tenant_lists_what_weighs_most() -> None:
    assert silenced(Kind.RANGE).silent and silenced(Kind.RANGE).action is Action.BLOCK
    assert not silenced().silent
    assert not silenced(Kind.DEVICE).silent, "the range weighs more, and is not listed"


def test_whoever_is_vouched_for_hears_of_a_block_and_what_is_no_block_is_never_silent() -> None:
    vouched = silenced(Kind.RANGE, Kind.DEVICE, trusted=True)
    assert (vouched.action, vouched.silent) == (Action.BLOCK, False)
    watched = silenced(Kind.RANGE, mode=FraudMode.MONITOR)
    assert (watched.action, watched.would, watched.silent) == (Action.ALLOW, Action.BLOCK, False)


@pytest.mark.parametrize(
    ("kinds", "action"),
    [
        ((Kind.COUNTRY, Kind.RANGE), Action.ALLOW),
        ((Kind.RANGE, Kind.NUMBER), Action.BLOCK),
        ((Kind.RANGE, Kind.DEVICE), Action.BLOCK),
    ],
)
def test_a_known_user_passes_the_digits_and_nothing_else(kinds: tuple[Kind, ...], action: Action) -> None:
    facts = replace(asked(levels=dict.fromkeys(kinds, RiskLevel.BLOCKED)), silenced=frozenset(Kind))
    assessed, _ = parts(decide(requested(), replace(facts, known=True), NOW))
    assert (assessed.action, assessed.features["trusted"], assessed.silent) == (action, 1.0, False)
    assert parts(decide(requested(), facts, NOW))[0].silent, "a stranger is told nothing"


def test_who_asks_is_looked_up_only_where_something_speaks_against_the_request() -> None:
    assert not matters_who_asks(requested(), asked())
    assert not matters_who_asks(requested(), replace(asked(), levels={Kind.RANGE: proven()}))
    assert matters_who_asks(requested(), asked(levels={Kind.RANGE: RiskLevel.ELEVATED}))


def proven() -> RiskLevelSet:
    """What is told of a range where users were verified."""
    why = Reason(code="range_novel", value=1.0, threshold=1.0, feature=RANGE)
    return RiskLevelSet(feature=RANGE, level=RiskLevel.ELEVATED, until=NOW + HOUR, ruleset="test", reasons=(why,))


def test_a_gate_is_always_told() -> None:
    facts = replace(asked(), silenced=frozenset(Kind))
    assessed, _ = parts(decide(requested(number_type="premium_rate"), facts, NOW))
    assert (assessed.action, assessed.silent) == (Action.BLOCK, False)
