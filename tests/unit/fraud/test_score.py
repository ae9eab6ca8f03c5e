"""The scorer: a table of what is known, and what becomes of it."""

from typing import Any

import msgspec
import pytest

from tests.unit.fraud.facts import KEYS, RANGE, level
from watchword.events.risk_level_set import RiskLevel
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.rules import DEFAULT, RULE_OF, Rules
from watchword.fraud.decide.score import Claims, features_of, score
from watchword.fraud.settings import FraudSettings
from watchword.kernel.feature import Kind
from watchword.kernel.phone import REFUSED_TYPES

ELEVATED, BLOCKED = RiskLevel.ELEVATED, RiskLevel.BLOCKED


def claims(
    *, number_type: str = "mobile", permitted: bool = True, trusted: bool = False, form_ms: int | None = None
) -> Claims:
    return Claims(number_type, permitted, trusted, form_ms, 1)


CASES = {
    "nothing known": (claims(), {}, 0, Action.ALLOW, []),
    "a range elevated": (claims(), {Kind.RANGE: ELEVATED}, 25, Action.ALLOW, ["range_unverified_pileup"]),
    "a range blocked": (claims(), {Kind.RANGE: BLOCKED}, 90, Action.BLOCK, ["range_unverified_pileup"]),
    "a country blocked": (claims(), {Kind.COUNTRY: BLOCKED}, 80, Action.BLOCK, ["country_unverified_pileup"]),
    "a network blocked": (claims(), {Kind.IP_NET: BLOCKED}, 75, Action.BLOCK, ["ip_velocity"]),
    "a device blocked": (claims(), {Kind.DEVICE: BLOCKED}, 75, Action.BLOCK, ["device_velocity"]),
    "range and network elevated": (
        claims(),
        {Kind.IP_NET: ELEVATED, Kind.RANGE: ELEVATED},
        45,
        Action.DELAY,
        ["range_unverified_pileup", "ip_velocity"],
    ),
    "everything blocked is a hundred": (
        claims(),
        dict.fromkeys(Kind, BLOCKED),
        100,
        Action.BLOCK,
        ["range_unverified_pileup", "country_unverified_pileup", "ip_velocity", "device_velocity"],
    ),
    "a form filled by a machine": (claims(form_ms=120), {}, 15, Action.ALLOW, ["too_fast_form"]),
    "a form filled by a person": (claims(form_ms=8_450), {}, 0, Action.ALLOW, []),
    "a machine in an elevated range": (
        claims(form_ms=120),
        {Kind.RANGE: ELEVATED},
        40,
        Action.DELAY,
        ["range_unverified_pileup", "too_fast_form"],
    ),
    "a premium number": (claims(number_type="premium_rate"), {}, 100, Action.BLOCK, ["number_type"]),
    "a country not permitted": (claims(permitted=False), {}, 100, Action.BLOCK, ["country_not_permitted"]),
    "trusted in a blocked range and country": (
        claims(trusted=True),
        {Kind.RANGE: BLOCKED, Kind.COUNTRY: BLOCKED},
        0,
        Action.ALLOW,
        ["range_unverified_pileup", "country_unverified_pileup"],
    ),
    "trusted from a blocked network": (claims(trusted=True), {Kind.IP_NET: BLOCKED}, 75, Action.BLOCK, ["ip_velocity"]),
    "trusted with a premium number": (
        claims(trusted=True, number_type="premium_rate"),
        {},
        100,
        Action.BLOCK,
        ["number_type"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_gives_points_reasons_and_an_action(case: str) -> None:
    said, risks, value, action, codes = CASES[case]
    levels = {kind: level(kind, risk) for kind, risk in risks.items()}
    answer = score(features_of(said, levels, DEFAULT), DEFAULT, KEYS)
    assert (answer.value, answer.action, [reason.code for reason in answer.reasons]) == (value, action, codes)


def test_a_reason_carries_what_the_judge_measured_and_the_feature_it_is_about() -> None:
    features = features_of(claims(), {Kind.RANGE: level(Kind.RANGE, BLOCKED)}, DEFAULT)
    [reason] = score(features, DEFAULT, KEYS).reasons
    assert (reason.value, reason.threshold, reason.weight, reason.feature) == (9.1, 9.0, 90.0, RANGE)


def test_the_same_features_and_rules_give_the_same_answer_again() -> None:
    features = features_of(claims(form_ms=5), {Kind.RANGE: level(Kind.RANGE, BLOCKED)}, DEFAULT)
    told = msgspec.json.decode(msgspec.json.encode(features), type=dict[str, float])
    assert score(told, DEFAULT, KEYS) == score(features, DEFAULT, KEYS)


def test_features_nobody_knows_yet_change_nothing() -> None:
    assert score({"asn_level": 2.0, "send_no": 1.0}, DEFAULT).action is Action.ALLOW


def test_every_kind_of_feature_has_its_rule_and_its_points() -> None:
    assert set(RULE_OF) == set(Kind)
    assert set(DEFAULT.points.blocked) == set(DEFAULT.points.elevated) == {kind.value for kind in Kind}
    assert all(points >= DEFAULT.points.block_at for points in DEFAULT.points.blocked.values())


def test_what_intake_refuses_is_refused_here_too() -> None:
    assert set(DEFAULT.refused_types) >= REFUSED_TYPES


def test_a_ruleset_that_was_changed_says_so_in_its_name() -> None:
    changed = msgspec.structs.replace(DEFAULT, delay_s=9.0)
    assert DEFAULT.name == "2026-11.1"
    assert changed.name.startswith("2026-11.1+")
    assert changed.name == msgspec.structs.replace(DEFAULT, delay_s=9.0).name
    assert changed.name != msgspec.structs.replace(DEFAULT, delay_s=8.0).name


def test_a_ruleset_can_be_written_down_and_read_again() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DEFAULT), type=Rules) == DEFAULT


def test_settings_left_alone_are_the_published_ruleset_and_moved_ones_are_taken() -> None:
    assert FraudSettings.load().rules() == DEFAULT
    told: dict[str, Any] = {"range_blocked": 4.0, "device_per_hour": 5.0, "block_first_s": 60.0}
    moved = FraudSettings(**told).rules()
    assert (moved.range.blocked, moved.range.elevated) == (4.0, 2.0)
    assert (moved.device.blocked_1h, moved.device.elevated_10min, moved.cooling.first_s) == (5.0, 2.0, 60.0)
    assert moved.name != DEFAULT.name
