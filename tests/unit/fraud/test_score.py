"""The scorer: a table of what is known, and what becomes of it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.unit.fraud.facts import KEYS, NOW, RANGE, level
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification_assessed import Action
from watchword.fraud.decide.rules import DEFAULT, VELOCITY_OF, Rule, Rules
from watchword.fraud.decide.score import Claims, Score, features_of, parts_in, parts_of, passes_without, score
from watchword.fraud.decide.tenants import GUESSES
from watchword.fraud.settings import FraudSettings
from watchword.kernel.feature import SOURCES, TRIE, Kind
from watchword.kernel.phone import REFUSED_TYPES

ELEVATED, BLOCKED = RiskLevel.ELEVATED, RiskLevel.BLOCKED
NEVER = 0.0


def claims(
    *, number_type: str = "mobile", permitted: bool = True, trusted: bool = False, form_ms: int | None = None
) -> Claims:
    return Claims(number_type, permitted, trusted, form_ms, 1)


def answer_to(said: Claims, points: dict[Kind, float]) -> Score:
    levels = {
        kind: level(kind, BLOCKED if worth >= DEFAULT.points.block_at else ELEVATED, worth)
        for kind, worth in points.items()
    }
    return score(parts_of(said, levels, DEFAULT), DEFAULT, KEYS, trusted=said.trusted)


CASES: dict[str, tuple[Claims, dict[Kind, float], int, Action]] = {
    "nothing known": (claims(), {}, 0, Action.ALLOW),
    "a range elevated": (claims(), {Kind.RANGE: 25}, 25, Action.ALLOW),
    "a range blocked": (claims(), {Kind.RANGE: 90}, 90, Action.BLOCK),
    "of the digits the worst counts": (claims(), {Kind.RANGE: 30, Kind.SERIES: 35}, 35, Action.ALLOW),
    "and the alarm of the country on top": (claims(), {Kind.RANGE: 30, Kind.COUNTRY: 45}, 75, Action.BLOCK),
    "an alarm alone asks for a challenge": (claims(), {Kind.COUNTRY: 50}, 50, Action.CHALLENGE),
    "of who asks all count": (claims(), {Kind.IP_NET: 25, Kind.DEVICE: 20}, 45, Action.DELAY),
    "a network blocked": (claims(), {Kind.IP_NET: 80}, 80, Action.BLOCK),
    "everything blocked is a hundred": (claims(), {Kind.RANGE: 90, Kind.IP_NET: 80}, 100, Action.BLOCK),
    "a form filled by a machine": (claims(form_ms=120), {}, 15, Action.ALLOW),
    "a form filled by a person": (claims(form_ms=8_450), {}, 0, Action.ALLOW),
    "a machine in an elevated range": (claims(form_ms=120), {Kind.RANGE: 25}, 40, Action.DELAY),
    "a premium number": (claims(number_type="premium_rate"), {}, 100, Action.BLOCK),
    "a country not permitted": (claims(permitted=False), {}, 100, Action.BLOCK),
    "trusted in a blocked range and country": (
        claims(trusted=True),
        {Kind.RANGE: 90, Kind.COUNTRY: 50},
        0,
        Action.ALLOW,
    ),
    "trusted from a blocked network": (claims(trusted=True), {Kind.IP_NET: 80}, 80, Action.BLOCK),
    "trusted, asked for too often": (claims(trusted=True), {Kind.NUMBER: 80}, 80, Action.BLOCK),
    "trusted with a premium number": (claims(trusted=True, number_type="premium_rate"), {}, 100, Action.BLOCK),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_gives_points_and_an_action(case: str) -> None:
    said, points, value, action = CASES[case]
    answer = answer_to(said, points)
    assert (answer.value, answer.action) == (value, action)
    assert sum(reason.weight for reason in answer.reasons) >= answer.value


def test_a_reason_carries_what_the_judge_measured_and_the_feature_it_is_about() -> None:
    [reason] = answer_to(claims(), {Kind.RANGE: 90}).reasons
    assert (reason.value, reason.threshold, reason.weight, reason.feature) == (9.1, 9.0, 90.0, RANGE)


def alarmed(novelty: float, points: float = 45.0) -> dict[Kind, RiskLevelSet]:
    told = level(Kind.COUNTRY, ELEVATED, points)
    share = Reason(code=Rule.NOVELTY.value, value=novelty, threshold=DEFAULT.novelty, weight=NEVER)
    return {Kind.COUNTRY: msgspec.structs.replace(told, reasons=(*told.reasons, share))}


@pytest.mark.parametrize(
    ("share", "action"), [(0.01, Action.BLOCK), (0.05, Action.CHALLENGE), (0.5, Action.DELAY), (1.0, Action.DELAY)]
)
def test_under_alarm_a_range_nobody_was_verified_in_counts_as_far_as_users_come_to_known_ones(
    share: float, action: Action
) -> None:
    assert score(parts_of(claims(), alarmed(share), DEFAULT), DEFAULT, KEYS).action is action


def test_a_range_where_users_were_verified_is_not_novel_and_without_an_alarm_none_is() -> None:
    proven = Reason(code=Rule.PROVEN.value, value=1.0, threshold=1.0, weight=NEVER)
    known = RiskLevelSet(feature=RANGE, level=ELEVATED, until=NOW, ruleset="test", reasons=(proven,))
    assert score(parts_of(claims(), {**alarmed(0.01), Kind.RANGE: known}, DEFAULT), DEFAULT).value == 45
    assert parts_of(claims(), {Kind.RANGE: known}, DEFAULT) == []
    assert parts_of(claims(), alarmed(0.01, points=NEVER), DEFAULT) == []


@pytest.mark.parametrize(
    ("points", "known", "action"),
    [(30.0, (), Action.BLOCK), (30.0, (Kind.ASN,), Action.ALLOW), (NEVER, (), Action.ALLOW)],
)
def test_where_something_piles_up_in_the_range_alone_networks_where_nobody_was_verified_count(
    points: float, known: tuple[Kind, ...], action: Action
) -> None:
    share = Reason(code=Rule.NOVELTY, value=0.01, threshold=0.02)
    levels = {kind: level(Kind.IP_NET, ELEVATED, NEVER) for kind in known}
    levels[Kind.TENANT] = msgspec.structs.replace(level(Kind.RANGE, ELEVATED), reasons=(share,))
    levels[Kind.RANGE] = level(Kind.RANGE, ELEVATED, points)
    answer = score(parts_of(replace(claims(), known_networks=True), levels, DEFAULT), DEFAULT, KEYS)
    assert answer.action is action


def test_while_wrong_codes_pile_up_networks_where_nobody_was_verified_are_refused_and_others_are_not() -> None:
    def answer(guesses: float, *known: Kind) -> Score:
        figures = (
            Reason(code=Rule.NOVELTY, value=0.01, threshold=0.02),
            Reason(code=GUESSES, value=guesses, threshold=DEFAULT.guesses),
        )
        levels = {kind: level(Kind.IP_NET, ELEVATED, 0.0) for kind in known}
        levels[Kind.TENANT] = msgspec.structs.replace(level(Kind.RANGE, ELEVATED), reasons=figures)
        return score(parts_of(replace(claims(), known_networks=True), levels, DEFAULT), DEFAULT, KEYS)

    refused = answer(1.0)
    assert (refused.action, refused.reasons[0].code) == (Action.BLOCK, Rule.GUESS_BUDGET)
    assert answer(0.0).action is answer(1.0, Kind.ASN).action is Action.ALLOW


def test_what_a_block_hangs_on_is_said() -> None:
    answer = answer_to(claims(), {Kind.RANGE: 90, Kind.IP_NET: 30})
    assert [each.feature for each in passes_without(answer, DEFAULT)] == [RANGE]
    assert passes_without(answer_to(claims(), {Kind.RANGE: 30}), DEFAULT) == ()


def test_the_same_features_and_rules_give_the_same_answer_again() -> None:
    parts = parts_of(claims(form_ms=5), {Kind.RANGE: level(Kind.RANGE, BLOCKED), **alarmed(0.01)}, DEFAULT)
    features = features_of(claims(form_ms=5), parts)
    told = msgspec.json.decode(msgspec.json.encode(features), type=dict[str, float])
    assert score(parts_in(told), DEFAULT, KEYS) == score(parts, DEFAULT, KEYS)


def test_every_kind_of_feature_has_its_limits() -> None:
    assert set(DEFAULT.pile_ups) == set(TRIE)
    assert set(DEFAULT.sources) | {Kind.NUMBER, Kind.PHONE} == set(SOURCES) == set(VELOCITY_OF)


def test_what_intake_refuses_is_refused_here_too() -> None:
    assert set(DEFAULT.refused_types) >= REFUSED_TYPES


def test_a_ruleset_that_was_changed_says_so_in_its_name() -> None:
    changed = msgspec.structs.replace(DEFAULT, delay_s=9.0)
    assert DEFAULT.name == DEFAULT.version
    assert changed.name.startswith(f"{DEFAULT.version}+")
    assert changed.name == msgspec.structs.replace(DEFAULT, delay_s=9.0).name
    assert changed.name != msgspec.structs.replace(DEFAULT, delay_s=8.0).name


def test_a_ruleset_can_be_written_down_and_read_again() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DEFAULT), type=Rules) == DEFAULT
    assert DEFAULT.wrong() == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [("conversion", 1.5), ("attack_share", 0.0), ("trickle", 1.0), ("served_day", 0.0), ("nodes_max", 5)],
)
def test_values_that_make_no_ruleset_are_named(field: str, value: float) -> None:
    assert f"`{field}`" in msgspec.structs.replace(DEFAULT, **{field: value}).wrong()


def test_settings_left_alone_are_the_published_ruleset_and_moved_ones_are_taken() -> None:
    assert FraudSettings.load().rules() == DEFAULT
    told: dict[str, Any] = {"range_blocked": 4.0, "device_blocked": 3.0, "block_first_s": 60.0}
    moved = FraudSettings(**told).rules()
    assert (moved.range.pressure, moved.device.pressure, moved.cooling.first_s) == (4.0, 3.0, 60.0)
    assert moved.name != DEFAULT.name
