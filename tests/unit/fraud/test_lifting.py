"""A lifted feature begins anew; a send that was refused under it is asked for once more while its code lives."""

from datetime import timedelta

import msgspec
import pytest

from tests.unit.fraud.facts import ALL_SIGNALS, KEYS, NOW, RANGE, Judged, requested, seen, sends, verified
from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.events.verification import Facts, shared
from watchword.fraud.decide.redispatch import RefusedSend, again
from watchword.kernel.feature import Kind
from watchword.kernel.policy import Policy

DEVICE = KEYS[Kind.DEVICE]


@pytest.mark.parametrize("feature", [RANGE, DEVICE, KEYS[Kind.COUNTRY], KEYS[Kind.NUMBER]])
def test_a_lifted_feature_is_normal_and_needs_all_its_evidence_anew(feature: str) -> None:
    judged = Judged().see(RANGE, *sends(12)).see(DEVICE, *sends(12)).see(KEYS[Kind.NUMBER], *sends(14))
    node = judged.node(feature)
    node.strikes = 3
    was_told = bool(judged.levels(feature))
    judged.told.clear()
    judged.see(feature, seen(SignalKind.LIFTED, 60, digest=b"lift-1"))
    assert (node.level, node.pressure, node.strikes) == (RiskLevel.NORMAL, 0.0, 0)
    assert judged.levels(feature) == ([RiskLevel.NORMAL] if was_told else [])
    judged.see(feature, seen(SignalKind.LIFTED, 61, digest=b"lift-1"))
    assert len(judged.told) <= 1, "a repeat says nothing"


def test_a_range_is_blocked_again_only_by_as_many_sends_as_the_first_time() -> None:
    judged = Judged().see(RANGE, *sends(12)).see(RANGE, seen(SignalKind.LIFTED, 60, digest=b"lift-1"))
    judged.told.clear()
    judged.see(RANGE, *sends(7, at_s=61))
    assert RiskLevel.BLOCKED not in judged.levels()
    judged.see(RANGE, *sends(5, at_s=70))
    assert judged.levels()[-1] is RiskLevel.BLOCKED


def test_what_speaks_for_a_feature_stays() -> None:
    judged = Judged().see(RANGE, *verified(9)).see(RANGE, seen(SignalKind.LIFTED, 60, digest=b"lift-1"))
    assert judged.node().verified_slow > 8


def refused(*, sends_requested: int = 2) -> RefusedSend:
    rules = Policy(id="default", tenant="shop", template="default", gaps_s=[30, 60])
    return RefusedSend(Facts(**shared(requested())), ALL_SIGNALS, rules, sends_requested)


@pytest.mark.parametrize("feature", [RANGE, DEVICE, KEYS[Kind.COUNTRY]])
def test_a_send_refused_under_the_feature_is_asked_for_again_as_a_fact_of_its_own(feature: str) -> None:
    [done] = again([refused()], feature, NOW)
    [write] = done.writes
    assert (write.statement, write.row[0]) == ("ask_again", 3)
    assert write.row[1:] == (NOW + timedelta(seconds=60), NOW + timedelta(seconds=1))
    [emit] = write.emits
    assert isinstance(emit.event, ResendRequested)
    assert (emit.event.send_no, emit.ordinal, emit.counted, emit.event.signals) == (3, 3, True, ALL_SIGNALS)


def test_what_is_over_spent_or_of_another_feature_is_left_alone() -> None:
    spent = refused(sends_requested=5)
    assert again([spent], RANGE, NOW) == []
    assert again([refused()], RANGE, NOW + timedelta(seconds=300)) == []
    assert again([refused()], "range:+99890124@shop", NOW) == []


def test_a_signal_kind_of_tomorrow_is_read_as_unknown() -> None:
    assert msgspec.convert("exonerated", SignalKind) is SignalKind.UNKNOWN
