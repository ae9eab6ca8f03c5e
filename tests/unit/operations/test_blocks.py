"""What is blocked now: the last word on each feature, since when, and who lifted it."""

from datetime import UTC, datetime, timedelta

from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.fraud.lifting import Lifted
from watchword.kernel.feature import lift_key
from watchword.operations.blocks import Levels

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
ONE, OTHER = "range:+99890123@shop", "device:token@shop"


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def told(feature: str, level: RiskLevel, until: float) -> RiskLevelSet:
    reasons = (Reason(code="range_unverified_pileup", value=12, threshold=9, weight=90),)
    return RiskLevelSet(feature=feature, level=level, until=at(until), ruleset="r", reasons=reasons)


def test_a_block_that_is_told_again_goes_on_since_it_began() -> None:
    levels = Levels()
    levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 15), at(0))
    levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 30), at(10))
    levels.take(OTHER, told(OTHER, RiskLevel.BLOCKED, 20), at(12))
    newest, oldest = levels.blocks(at(14), [])
    assert (newest.feature, newest.since) == (OTHER, at(12))
    assert (oldest.since, oldest.until, oldest.score) == (at(0), at(30), 90.0)
    assert [each.feature for each in levels.blocks(at(25), [])] == [ONE]
    assert levels.blocks(at(30), []) == []


def test_a_block_after_one_that_was_over_begins_anew() -> None:
    levels = Levels()
    levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 15), at(0))
    levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 60), at(20))
    assert levels.blocks(at(21), [])[0].since == at(20)


def test_what_is_elevated_normal_or_forgotten_is_not_blocked() -> None:
    levels = Levels()
    for after in (told(ONE, RiskLevel.ELEVATED, 30), told(ONE, RiskLevel.NORMAL, 30), None):
        levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 15), at(0))
        levels.take(ONE, after, at(1))
        assert levels.blocks(at(2), []) == []


def test_a_lifted_block_is_shown_with_who_lifted_it() -> None:
    levels = Levels()
    levels.take(ONE, told(ONE, RiskLevel.BLOCKED, 15), at(0))
    levels.take(lift_key(ONE), told(lift_key(ONE), RiskLevel.NORMAL, 60), at(1))
    [block] = levels.blocks(at(2), [Lifted(ONE, at(60), "a launch", "ann", at(1))])
    assert block.lifted is not None
    assert (block.lifted.by, block.lifted.reason) == ("ann", "a launch")
