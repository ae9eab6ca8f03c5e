"""The judge's update: what piles up, what is taken back, what is forgotten."""

from datetime import timedelta

import msgspec
import pytest

from tests.unit.fraud.facts import NOW, RANGE, judged, seen, sends, verified
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.levels import RING, Node, counted, forgettable, observe, unverified, weigh
from watchword.fraud.decide.rules import DEFAULT
from watchword.kernel.feature import Kind

ELEVATED, BLOCKED, NORMAL = RiskLevel.ELEVATED, RiskLevel.BLOCKED, RiskLevel.NORMAL


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [(0.6, 12), (0.7, 9), (0.85, 6)],  # reference/fraud-security.md, A5: "trips after 9 unverified sends (12, 6)"
)
def test_an_untouched_range_is_blocked_by_its_first_unverified_sends(conversion: float, expected: int) -> None:
    rules = msgspec.structs.replace(DEFAULT, conversion=conversion)
    _, told = judged(sends(expected - 1), rules=rules)
    assert BLOCKED not in [each.level for each in told]
    _, told = judged(sends(expected), rules=rules)
    assert told[-1].level is BLOCKED


def test_a_block_says_what_was_measured_against_which_threshold_and_until_when() -> None:
    _, told = judged(sends(9))
    blocked = told[-1]
    [reason] = blocked.reasons
    assert (reason.code, reason.threshold, reason.feature) == ("range_unverified_pileup", 9.0, RANGE)
    assert reason.value == pytest.approx(9.103, abs=0.01)
    assert blocked.until == NOW + timedelta(seconds=8 + 300)
    assert blocked.ruleset == "2026-11.1"


def test_a_range_is_elevated_half_way_and_that_is_told_once() -> None:
    _, told = judged(sends(8))
    assert [each.level for each in told] == [ELEVATED]


def test_a_range_whose_codes_arrive_stays_normal_through_a_thousand_sends() -> None:
    observations = []
    for n in range(1_000):
        observations += sends(1, first=n, at_s=n * 10.0)
        if n % 10 < 7:
            observations += verified(1, first=n, at_s=n * 10.0 + 20)
    _, told = judged(sorted(observations, key=lambda each: each.at))
    assert BLOCKED not in [each.level for each in told]


def test_sends_that_turn_out_verified_lift_a_block_before_its_time() -> None:
    node, told = judged(sends(9))
    assert told[-1].level is BLOCKED
    node, told = judged(verified(7, at_s=20), node=node)
    assert told[-1].level is NORMAL
    assert node.pressure < 1


def test_repeats_change_nothing() -> None:
    node, _ = judged(sends(5))
    again, told = judged(sends(5), node=node)
    assert again == node
    assert told == []


def test_a_repeat_is_known_among_the_last_signals_and_counted_beyond() -> None:
    node, _ = judged(verified(RING + 1))
    assert observe(Kind.RANGE, node, verified(RING + 1)[-1], DEFAULT) is node
    assert observe(Kind.RANGE, node, verified(1)[0], DEFAULT) is not node


def test_unverified_endings_and_unknown_words_add_nothing_to_what_was_sent() -> None:
    node, _ = judged(sends(5))
    after, _ = judged([seen(SignalKind.UNVERIFIED, n, 300) for n in range(5)], node=node)
    assert after.pressure <= node.pressure
    assert observe(Kind.RANGE, node, seen(SignalKind.UNKNOWN, 1), DEFAULT) is node


def test_each_block_of_the_same_range_lasts_four_times_longer_up_to_twelve_hours() -> None:
    node, told = Node(), list[RiskLevelSet]()
    at_s, sent, lengths = 0.0, 0, list[int]()
    for _ in range(6):
        while not (told and told[-1].level is BLOCKED):
            node, told = judged(sends(1, first=sent, at_s=at_s), node=node)
            sent, at_s = sent + 1, at_s + 1
        lengths.append(round((told[-1].until - NOW).total_seconds() - at_s + 1))
        at_s, told = (told[-1].until - NOW).total_seconds() + 1, []
    assert lengths == [300, 1_200, 4_800, 19_200, 43_200, 43_200]


def test_after_its_block_a_range_is_blocked_again_sooner_but_not_at_once() -> None:
    node, _ = judged(sends(9))
    _, told = judged(sends(5, first=100, at_s=400), node=node)
    assert [each.level for each in told] == [ELEVATED, BLOCKED]


def test_a_range_that_was_left_alone_for_a_day_starts_from_the_shortest_block_again() -> None:
    node, _ = judged(sends(9))
    _, told = judged(sends(9, first=100, at_s=4 * 86_400), node=node)
    assert (told[-1].until - NOW).total_seconds() == pytest.approx(4 * 86_400 + 300, abs=9)


def test_one_send_an_hour_is_found_out_and_one_in_six_hours_is_not() -> None:
    _, hourly = judged(sends(24, apart_s=3_600))
    _, seldom = judged(sends(24, apart_s=6 * 3_600))
    assert BLOCKED in [each.level for each in hourly]
    assert BLOCKED not in [each.level for each in seldom]


def test_a_late_observation_counts_for_what_would_be_left_of_it() -> None:
    day = DEFAULT.range.half_life_s
    node, _ = judged([seen(SignalKind.SENT, 1, at_s=day), seen(SignalKind.SENT, 2, at_s=0)])
    assert node.pressure == pytest.approx(DEFAULT.sent_step * 1.5)
    assert node.seen_s == NOW.timestamp() + day


def test_a_country_is_blocked_while_it_is_new_and_never_once_it_is_proven() -> None:
    _, told = judged(sends(80, apart_s=0.1), kind=Kind.COUNTRY)
    assert told[-1].level is BLOCKED
    assert told[-1].reasons[0].code == "country_unverified_pileup"
    proven, _ = judged(verified(120, apart_s=60), kind=Kind.COUNTRY)
    _, told = judged(sends(300, at_s=8_000, apart_s=0.1), kind=Kind.COUNTRY, node=proven)
    assert [each.level for each in told] == [ELEVATED]


@pytest.mark.parametrize(
    ("kind", "limit", "code"), [(Kind.IP_NET, 30, "ip_velocity"), (Kind.DEVICE, 10, "device_velocity")]
)
def test_a_network_or_a_device_is_blocked_by_its_unverified_sends_of_an_hour(kind: Kind, limit: int, code: str) -> None:
    _, told = judged(sends(limit, apart_s=60), kind=kind)
    assert (told[-1].level, told[-1].reasons[0].value, told[-1].reasons[0].code) == (BLOCKED, limit, code)
    _, slow = judged(sends(limit, apart_s=3_600 / limit + 60), kind=kind)
    assert BLOCKED not in [each.level for each in slow]


def test_a_shared_network_whose_users_verify_is_left_in_peace() -> None:
    observations = [
        each for n in range(500) for each in (*sends(1, first=n, at_s=n), *verified(1, first=n, at_s=n + 20))
    ]
    _, told = judged(sorted(observations, key=lambda each: each.at), kind=Kind.IP_NET)
    assert BLOCKED not in [each.level for each in told]


def test_buckets_older_than_an_hour_are_gone_and_a_later_one_makes_no_room_for_them() -> None:
    minutes = counted(counted((), 1_000, 5, 0), 1_059, 1, 1)
    assert minutes == ((1_000, 5, 0), (1_059, 1, 1))
    assert counted(minutes, 1_060, 1, 0) == ((1_059, 1, 1), (1_060, 1, 0))
    assert counted(minutes, 900, 7, 0) == minutes
    assert unverified(minutes) == 5
    assert unverified(((1, 0, 9),)) == 0


def test_what_has_faded_may_be_forgotten_and_what_is_blocked_may_not() -> None:
    node, told = judged(sends(9))
    until_s = told[-1].until.timestamp()
    assert not forgettable(Kind.RANGE, node, until_s - 1, DEFAULT, crowded=True)
    assert forgettable(Kind.RANGE, node, until_s + 60, DEFAULT, crowded=True)
    assert not forgettable(Kind.RANGE, node, until_s + 86_400, DEFAULT, crowded=False)
    assert forgettable(Kind.RANGE, node, until_s + 30 * 86_400, DEFAULT, crowded=False)
    device, _ = judged(sends(2), kind=Kind.DEVICE)
    assert not forgettable(Kind.DEVICE, device, device.seen_s + 3_000, DEFAULT, crowded=False)
    assert forgettable(Kind.DEVICE, device, device.seen_s + 3_700, DEFAULT, crowded=False)


def test_a_batch_for_one_feature_tells_its_level_once() -> None:
    weighed = weigh(RANGE, Kind.RANGE, Node(), [*sends(20), *sends(3)], DEFAULT)
    assert weighed.told is not None and weighed.told.level is BLOCKED
    assert weighed.repeated == 3


def test_a_node_survives_the_changelog() -> None:
    node, _ = judged(sends(9))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(node), type=Node) == node
