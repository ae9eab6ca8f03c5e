"""New tenants are monitored at first, candidates score beside the live rules, trials of blocks are few."""

from datetime import timedelta

import msgspec
import pytest

from tests.unit.fraud.facts import NOW, asked, requested
from watchword.events.risk_level_set import RiskLevel
from watchword.events.verification_assessed import Action, Mode, ModeReason, VerificationAssessed
from watchword.fraud.decide.assess import Asked, decide
from watchword.fraud.decide.modes import MONITORED_SENDS, Season, over, resolved
from watchword.fraud.decide.rules import DEFAULT, Rules
from watchword.fraud.decide.trials import Trials
from watchword.kernel.feature import Kind
from watchword.kernel.tenancy import FraudMode, Tenant
from watchword.kernel.verdict import Done

DAY = timedelta(days=1)
BLOCKED = {Kind.RANGE: RiskLevel.BLOCKED}


def assessed(facts: Asked) -> VerificationAssessed:
    verdict = decide(requested(), facts, NOW)
    assert isinstance(verdict, Done)
    told = verdict.writes[0].emits[0].event
    assert isinstance(told, VerificationAssessed)
    return told


def with_(facts: Asked, *, candidate: Rules | None = None, trials: Trials | None = None) -> Asked:
    return Asked(
        facts.state, facts.sends_assessed, facts.rules, facts.mode, facts.countries, facts.levels,
        mode_reason=ModeReason.NEW_TENANT, candidate=candidate, trials=trials,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("days", "sends", "reason"),
    [
        (0, 1, None),
        (6.99, MONITORED_SENDS, None),
        (7, 1, ModeReason.DAYS_PASSED),
        (0.1, MONITORED_SENDS + 1, ModeReason.SENDS_PASSED),
    ],
)
def test_a_tenant_is_new_for_seven_days_or_ten_thousand_sends(
    days: float, sends: int, reason: ModeReason | None
) -> None:
    assert over(Season(NOW - days * DAY, sends), NOW) is reason


def test_who_says_nothing_is_monitored_at_first_and_enforced_after_and_who_says_something_is_obeyed() -> None:
    assert Tenant(id="shop", countries=["IN"]).fraud_mode is FraudMode.AUTO
    new = resolved(FraudMode.AUTO, None)
    assert (new.mode, new.reason) == (FraudMode.MONITOR, ModeReason.NEW_TENANT)
    known = resolved(FraudMode.AUTO, ModeReason.DAYS_PASSED)
    assert (known.mode, known.reason) == (FraudMode.ENFORCE, ModeReason.DAYS_PASSED)
    for mode in (FraudMode.MONITOR, FraudMode.ENFORCE):
        said = resolved(mode, ModeReason.SENDS_PASSED)
        assert (said.mode, said.reason) == (mode, ModeReason.CONFIGURED)
    gone = resolved(None, None)
    assert (gone.mode, gone.reason) == (FraudMode.MONITOR, ModeReason.NO_TENANT)


def test_why_a_mode_holds_is_told_with_every_assessment() -> None:
    told = assessed(with_(asked(levels=BLOCKED, mode=FraudMode.MONITOR)))
    assert (told.mode, told.mode_reason, told.action) == (Mode.MONITOR, ModeReason.NEW_TENANT, Action.ALLOW)


def test_a_candidate_scores_beside_the_live_rules_and_nothing_follows_from_it() -> None:
    points = msgspec.structs.replace(DEFAULT.points, block_at=95.0, challenge_at=94.0, delay_at=93.0)
    lax = msgspec.structs.replace(DEFAULT, version="lax", points=points)
    told = assessed(with_(asked(levels=BLOCKED), candidate=lax))
    assert (told.action, told.ruleset) == (Action.BLOCK, DEFAULT.name)
    assert told.shadow is not None
    assert (told.shadow.action, told.shadow.score, told.shadow.ruleset) == (Action.ALLOW, 90, lax.name)
    assert told.shadow.reasons[0].code == "range_unverified_pileup"
    none = msgspec.structs.replace(DEFAULT.points, block_at=0.0, challenge_at=0.0, delay_at=0.0)
    strict = msgspec.structs.replace(DEFAULT, points=none)
    passed = assessed(with_(asked(levels={Kind.DEVICE: RiskLevel.ELEVATED}), candidate=strict))
    assert passed.action is Action.ALLOW and passed.shadow is not None
    assert passed.shadow.action is Action.BLOCK
    assert assessed(with_(asked(levels=BLOCKED))).shadow is None


def test_trials_of_a_block_are_no_more_than_an_hour_allows_a_tenant() -> None:
    trials = Trials(per_hour=2)
    assert [trials.take("shop", NOW) for _ in range(3)] == [True, True, False]
    assert trials.take("other", NOW)
    assert trials.take("shop", NOW + timedelta(hours=1))


def test_a_block_that_has_had_its_trials_is_a_block() -> None:
    every = msgspec.structs.replace(DEFAULT, trickle=0.999999)
    facts = with_(asked(levels=BLOCKED, rules=every), trials=Trials(per_hour=1))
    first, second = assessed(facts), assessed(facts)
    assert (first.action, first.reasons[-1].code) == (Action.ALLOW, "trickle")
    assert (second.action, second.reasons[-1].code) == (Action.BLOCK, "range_unverified_pileup")
