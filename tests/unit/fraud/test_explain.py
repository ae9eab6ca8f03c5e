"""One assessment explains itself: what was decided, by what, and what would have let the send pass."""

from dataclasses import replace

import msgspec

from tests.unit.fraud.facts import NOW, RANGE, asked, requested
from tests.unit.fraud.test_money import buying, decided
from watchword.events.risk_level_set import Reason, RiskLevel
from watchword.events.verification_assessed import VerificationAssessed
from watchword.fraud.decide.assess import Asked, decide
from watchword.fraud.decide.explain import explained
from watchword.fraud.decide.rules import DEFAULT
from watchword.kernel.feature import Kind
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Done


def assessed(facts: Asked, **changes: object) -> VerificationAssessed:
    verdict = decide(requested(**changes), facts, NOW)  # type: ignore[arg-type]
    assert isinstance(verdict, Done)
    told = verdict.writes[0].emits[0].event
    assert isinstance(told, VerificationAssessed)
    return told


def test_a_blocked_send_says_what_would_have_let_it_pass_even_in_monitor_mode() -> None:
    for mode in (FraudMode.ENFORCE, FraudMode.MONITOR):
        told = explained(assessed(asked(levels={Kind.RANGE: RiskLevel.BLOCKED}, mode=mode)))
        assert (told.would, told.score) == ("block", 90)
        assert told.passes_if == (f"range_unverified_pileup were below 9, not 9.1 ({RANGE})",)
        assert told.or_if == "the platform vouched for the user (signals.trusted)"


def test_only_as_many_reasons_are_named_as_would_have_been_enough() -> None:
    levels = {Kind.RANGE: RiskLevel.BLOCKED, Kind.DEVICE: RiskLevel.ELEVATED}
    told = explained(assessed(asked(levels=levels)))
    assert [reason.weight for reason in told.reasons] == [90.0, 25.0]
    assert len(told.passes_if) == 1, "the device alone would have been let through"
    both = {Kind.RANGE: RiskLevel.BLOCKED, Kind.DEVICE: RiskLevel.BLOCKED}
    needed = explained(assessed(asked(levels=both)))
    assert len(needed.passes_if) == 2
    assert needed.or_if == "", "a device that is blocked is no matter of vouching"


def test_a_gate_and_a_cap_name_what_would_have_to_be_otherwise() -> None:
    gate = explained(assessed(asked(countries=frozenset({"IN"}))))
    assert gate.passes_if == ("the tenant permitted the country",)
    cap = explained(decided(buying(701))[0])
    assert cap.passes_if == ("the cap were at least 1001 micros, not 1000 (hour/all/-/2026-03-02T09)",)
    assert cap.or_if == ""


def test_a_form_filled_too_fast_would_have_to_take_at_least_so_long() -> None:
    eager = msgspec.structs.replace(DEFAULT.points, delay_at=5.0, challenge_at=8.0, block_at=12.0)
    signals = msgspec.structs.replace(requested().signals, form_ms=100)
    facts = asked(rules=msgspec.structs.replace(DEFAULT, points=eager))
    assert explained(assessed(facts, signals=signals)).passes_if == ("too_fast_form were at least 700, not 100",)


def test_what_passed_needs_nothing() -> None:
    assert explained(assessed(asked())).passes_if == ()


def test_the_event_is_enough_whatever_rules_are_in_force_by_now() -> None:
    points = msgspec.structs.replace(DEFAULT.points, challenge_at=20.0, delay_at=10.0)
    lax = asked(levels={Kind.RANGE: RiskLevel.BLOCKED, Kind.DEVICE: RiskLevel.ELEVATED})
    strict = msgspec.structs.replace(lax.rules, points=points)
    facts = Asked(lax.state, 0, strict, lax.mode, lax.countries, lax.levels)
    told = msgspec.json.decode(msgspec.json.encode(assessed(facts)), type=VerificationAssessed)
    assert len(explained(told).passes_if) == 2
    assert all(isinstance(reason, Reason) for reason in explained(told).reasons)


def test_a_block_that_nobody_was_told_of_says_so() -> None:
    facts = asked(levels={Kind.RANGE: RiskLevel.BLOCKED})
    assert not explained(assessed(facts)).silent
    assert explained(assessed(replace(facts, silenced=frozenset({Kind.RANGE})))).silent
