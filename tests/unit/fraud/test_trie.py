"""Leading digits: what piles up, what is taken back, what is no attack."""

import msgspec
import pytest

from tests.unit.fraud.facts import (
    DAY_S,
    HOUR_S,
    KEYS,
    NOW,
    RANGE,
    SENT,
    VERIFIED,
    Judged,
    seen,
    sends,
    served,
    verified,
)
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind
from watchword.fraud.decide.faked import findings
from watchword.fraud.decide.node import Node, base_of
from watchword.fraud.decide.rules import DEFAULT, Rule
from watchword.kernel.feature import Kind, feature_key

ELEVATED, BLOCKED, NORMAL = RiskLevel.ELEVATED, RiskLevel.BLOCKED, RiskLevel.NORMAL
RANGES = [feature_key(Kind.RANGE, f"+9989{operator}{n:03d}", "shop") for operator in (0, 3) for n in range(4)]


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [(0.6, 12), (0.7, 9), (0.85, 6)],  # reference: an untouched range trips after 9 unverified sends (12, 6)
)
def test_an_untouched_range_is_blocked_by_its_first_unverified_sends(conversion: float, expected: int) -> None:
    rules = msgspec.structs.replace(DEFAULT, conversion=conversion, prior_sends=10_000.0)
    judged = Judged(rules)
    while BLOCKED not in judged.levels():
        judged.see(RANGE, *sends(1, at_s=judged.node().fast))
    sent = round(judged.node().fast)
    assert expected - 2 <= sent <= expected, "what piles up above it makes a range trip a little sooner"


def test_a_pumped_range_is_blocked_before_the_thirteenth_send_under_the_published_rules() -> None:
    judged = Judged().see(RANGE, *sends(12, apart_s=5))
    assert judged.levels()[-1] is BLOCKED
    [reason] = judged.last().reasons
    assert (reason.code, reason.weight, reason.feature) == ("range_unverified_pileup", 90.0, RANGE)
    assert reason.value >= reason.threshold
    assert judged.last().ruleset == DEFAULT.name


def test_a_range_in_which_wrong_codes_are_typed_is_said_to_be_guessed_at() -> None:
    judged = Judged()
    for n in range(12):
        judged.see(RANGE, seen(SENT, n * 5.0), seen(SignalKind.WRONG, n * 5.0 + 2), seen(SignalKind.WRONG, n * 5.0 + 3))
    [reason] = judged.last().reasons
    assert judged.levels()[-1] is BLOCKED
    assert reason.code == "guess_budget"


def test_a_range_whose_codes_arrive_stays_normal_through_hundreds_of_sends() -> None:
    judged = Judged()
    for n in range(300):
        judged.see(RANGE, seen(SENT, n * 30.0))
        if n % 10 < 7:
            judged.see(RANGE, seen(SignalKind.VERIFIED, n * 30.0 + 20))
    assert BLOCKED not in judged.levels()


def test_sends_that_turn_out_verified_lift_a_block_before_its_time() -> None:
    judged = Judged().see(RANGE, *sends(12), *verified(9, at_s=30))
    assert judged.levels()[-1] is NORMAL


@pytest.mark.parametrize(("users", "more"), [(0, 0), (3, 1), (8, 2), (80, 1)])
def test_a_range_that_served_users_today_bears_more_unlucky_ones_in_a_row_and_an_attack_not_many_more(
    users: int, more: int
) -> None:
    def borne(slack_served: float) -> int:
        """The sends without a code that go through, three hours after the last user was verified."""
        judged = Judged(msgspec.structs.replace(DEFAULT, slack_served=slack_served))
        for n in range(users):
            judged.see(RANGE, seen(SENT, n * 300.0), seen(VERIFIED, n * 300.0 + 20))
        at_s = users * 300.0 + 3 * HOUR_S
        while judged.node().level is not BLOCKED:
            judged.see(RANGE, seen(SENT, at_s := at_s + 30.0))
        return round((at_s - users * 300.0 - 3 * HOUR_S) / 30.0)

    assert borne(DEFAULT.slack_served) - borne(0.0) == more


def test_one_user_who_asks_again_and_again_is_not_many_numbers() -> None:
    judged = Judged().see(RANGE, *(seen(SENT, n * 60.0, place="one number") for n in range(40)))
    assert judged.levels() == []
    assert judged.node().fast == pytest.approx(1, abs=0.6)


def test_a_route_that_is_down_blocks_nobody_and_a_pumped_range_beside_it_is_blocked() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=3, per_day=240)
    judged.told.clear()
    for n in range(80):  # nobody is verified any more, at the usual pace
        judged.see(RANGES[n % len(RANGES)], seen(SENT, start_s + n * 360.0, place=f"down{n}"))
    assert BLOCKED not in [each.level for each in judged.told]
    pumped = feature_key(Kind.RANGE, "+99890777", "shop")
    judged.see(pumped, *sends(12, at_s=start_s + 8 * HOUR_S, apart_s=10))
    assert judged.levels(pumped)[-1] is BLOCKED


def test_a_flash_sale_blocks_nobody() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=3, per_day=240)
    judged.told.clear()
    for n in range(320):  # eight times the usual, the codes forty-five seconds behind
        at_s = start_s + n * 45.0
        judged.see(RANGES[n % len(RANGES)], seen(SENT, at_s, place=f"sale{n}"))
        if n > 0 and n * 7919 % 100 < 75:
            judged.see(RANGES[(n - 1) % len(RANGES)], seen(SignalKind.VERIFIED, at_s, delay_s=45.0))
    assert BLOCKED not in [each.level for each in judged.told]


def test_a_spray_puts_the_country_in_alarm_and_ranges_trip_sooner_under_it() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=1, per_day=240)
    for n in range(80):
        judged.see(feature_key(Kind.RANGE, f"+9989{n % 7}{n:03d}", "shop"), seen(SENT, start_s + n * 20.0))
    assert judged.levels(KEYS[Kind.COUNTRY])[-1] is ELEVATED
    fresh = feature_key(Kind.RANGE, "+99891555", "shop")
    judged.see(fresh, *sends(6, at_s=start_s + 1_700))
    assert judged.levels(fresh)[-1] is BLOCKED


def test_an_alarm_lasts_while_its_attack_is_refused_and_ends_half_an_hour_after_the_last_try() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=1, per_day=240)
    for n in range(80):
        judged.see(feature_key(Kind.RANGE, f"+9989{n % 7}{n:03d}", "shop"), seen(SENT, start_s + n * 20.0))
    country, drip = judged.node(KEYS[Kind.COUNTRY]), feature_key(Kind.RANGE, "+99890777", "shop")
    pressure = country.pressure
    for n in range(18):
        judged.see(drip, seen(SignalKind.REFUSED, start_s + 1_600 + n * 1_200.0))
    last_s = NOW.timestamp() + start_s + 1_600 + 17 * 1_200
    assert country.level is ELEVATED
    assert last_s < country.until_s <= last_s + 1_800
    assert country.pressure == pressure
    for n in range(18, 144):
        judged.see(drip, seen(SignalKind.REFUSED, start_s + 1_600 + n * 1_200.0))
    assert country.until_s == country.cool_s < NOW.timestamp() + start_s + 1_600 + 25 * HOUR_S


def test_an_elevation_outlasts_the_gap_between_two_sends_of_whoever_drips() -> None:
    slow, fast = Judged().see(RANGE, *sends(8, apart_s=HOUR_S)), Judged().see(RANGE, *sends(8, apart_s=60.0))
    for judged, least_s, most_s in ((slow, 3 * HOUR_S, 12 * HOUR_S), (fast, 900.0, 1_800.0)):
        node = judged.node()
        assert node.level is ELEVATED
        assert least_s <= node.until_s - node.at_s <= most_s


def test_behind_a_repeated_block_the_first_send_without_a_code_blocks_again() -> None:
    judged = Judged().see(RANGE, *sends(12))
    node, found = judged.node(), []
    for strikes in (2, 3, 4):
        over_s, asked = node.until_s - NOW.timestamp(), 0
        while node.strikes < strikes:
            asked += 1
            judged.see(RANGE, seen(SENT, over_s + asked))
        found.append(asked)
    assert found == [2, 1, 1]


def test_a_country_is_blocked_only_where_hardly_a_user_is_to_be_met() -> None:
    new = Judged()
    known = Judged()
    start_s = served(known, RANGES, days=3, per_day=240)
    known.told.clear()
    for n in range(150):
        line = feature_key(Kind.RANGE, f"+9989{n % 7}{n:03d}", "shop")
        new.see(line, seen(SENT, n * 20.0))
        known.see(line, seen(SENT, start_s + n * 20.0))
    assert BLOCKED in new.levels(KEYS[Kind.COUNTRY])
    assert BLOCKED not in known.levels(KEYS[Kind.COUNTRY])


def test_a_slow_drip_is_found_out_within_a_day_and_its_block_outlasts_the_gaps() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=2, per_day=240)
    drip = feature_key(Kind.RANGE, "+99890777", "shop")
    for n in range(16):
        judged.see(drip, seen(SENT, start_s + n * HOUR_S))
        if BLOCKED in judged.levels(drip):
            break
    node = judged.node(drip)
    assert node.level is BLOCKED
    assert node.until_s - node.at_s > 3 * HOUR_S


def test_a_fast_block_ends_a_quarter_of_an_hour_after_the_last_try_and_repeats_last_longer() -> None:
    judged = Judged().see(RANGE, *sends(12))
    node = judged.node()
    assert node.until_s - node.at_s == pytest.approx(900, abs=5)
    at_s, lengths = 12.0, []
    for _ in range(3):
        lengths.append(node.cool_s - node.at_s)
        while node.until_s - NOW.timestamp() > at_s:
            judged.see(RANGE, seen(SignalKind.REFUSED, at_s))
            at_s += 60
        while node.level is not BLOCKED or node.until_s - NOW.timestamp() <= at_s:
            judged.see(RANGE, seen(SENT, at_s))
            at_s += 1
    assert lengths[0] < lengths[1] < lengths[2]


def test_who_is_refused_adds_no_evidence() -> None:
    judged = Judged().see(RANGE, *sends(12))
    before = judged.node().pressure
    judged.see(RANGE, *(seen(SignalKind.REFUSED, 20.0 + n) for n in range(500)))
    assert judged.node().pressure == before
    assert judged.node().fast == pytest.approx(12, abs=0.5)


def test_an_attack_cannot_teach_what_is_expected() -> None:
    judged = Judged()
    served(judged, RANGES, days=3, per_day=240)
    node = judged.node(KEYS[Kind.COUNTRY])
    learned = node.slow
    for n in range(800):
        judged.see(feature_key(Kind.RANGE, f"+99890{n % 500:03d}", "shop"), seen(SENT, 3 * DAY_S + n * 4.0))
    assert node.slow - learned < 800 * 0.2
    assert base_of(node) < learned


def test_a_volume_nothing_explains_is_blocked_though_every_code_comes_back() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=3, per_day=240)
    pumped = feature_key(Kind.RANGE, "+99890777", "shop")
    for n in range(40):
        judged.see(pumped, seen(SENT, start_s + n * 30.0))
        judged.see(pumped, seen(SignalKind.VERIFIED, start_s + n * 30.0 + 5 + n * 7 % 40, delay_s=5.0 + n * 7 % 40))
    assert BLOCKED in judged.levels(pumped)
    assert "range_volume_surprise" in {each.code for each in judged.last(pumped).reasons}


def test_codes_typed_in_by_a_clock_are_told_from_people() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=3, per_day=240)
    pumped = feature_key(Kind.RANGE, "+99890777", "shop")
    for n in range(13):
        judged.see(pumped, seen(SENT, start_s + n * 60.0), seen(SignalKind.VERIFIED, start_s + n * 60.0 + 6, delay_s=6))
    assert "verify_timing_uniform" in {reason.code for each in judged.told for reason in each.reasons}


def test_verified_users_whom_the_platform_disowns_block_their_range() -> None:
    judged = Judged()
    for n in range(6):
        judged.see(RANGE, seen(SENT, n * 60.0), seen(SignalKind.VERIFIED, n * 60.0 + 20))
    judged.see(RANGE, *(seen(SignalKind.DENIED, 400.0 + n) for n in range(3)))
    assert judged.levels()[-1] is BLOCKED
    assert "downstream_denied" in {each.code for each in judged.last().reasons}


def test_codes_that_come_back_without_a_receipt_are_told_where_carriers_report() -> None:
    judged = Judged()
    start_s = served(judged, RANGES, days=2, per_day=240)
    judged.see(RANGES[0], *(seen(SignalKind.DELIVERED, start_s) for _ in range(400)))
    pumped = feature_key(Kind.RANGE, "+99890777", "shop")
    for n in range(10):
        judged.see(pumped, seen(SENT, start_s + n * 60.0), seen(SignalKind.VERIFIED, start_s + n * 60.0 + 5 + n * 3))
    assert "verified_without_receipt" in {reason.code for each in judged.told for reason in each.reasons}


def test_numbers_in_a_row_are_found_out_by_their_hundred() -> None:
    row = feature_key(Kind.ROW, "+99890123.4.5", "shop")
    judged = Judged().see(row, *sends(8))
    assert judged.levels(row)[-1] is BLOCKED
    assert judged.last(row).reasons[0].code == "sequential_suffix"


def test_repeats_change_nothing() -> None:
    judged = Judged().see(RANGE, *(seen(SENT, n, digest=bytes([n]) * 6) for n in range(5)))
    before = msgspec.msgpack.encode(judged.node())
    judged.see(RANGE, *(seen(SENT, n, digest=bytes([n]) * 6) for n in range(5)))
    assert msgspec.msgpack.encode(judged.node()) == before


def test_a_range_whose_numbers_follow_each_other_is_named_so_though_it_was_refused_before_that_showed() -> None:
    judged = Judged().see(row_of(0), *sends(1))
    for n in range(1, 12):
        judged.see(row_of(n), *sends(1, at_s=n * 30.0))
    assert (judged.last().level, judged.last().reasons[0].code) == (BLOCKED, "range_unverified_pileup")
    for n in range(40):
        judged.see(row_of(30 + n // 20), seen(SignalKind.REFUSED, 400.0 + n))
    assert (judged.last().level, judged.last().reasons[0].code) == (BLOCKED, "sequential_suffix")


def test_a_range_whose_numbers_are_taken_at_random_is_never_said_to_be_asked_for_in_a_row() -> None:
    judged = Judged()
    for n in range(400):
        kind = SignalKind.REFUSED if judged.node().level is BLOCKED else SENT
        judged.see(row_of(n * 7919 % 9973), seen(kind, n * 9.0))
    codes = {reason.code for each in judged.told for reason in each.reasons}
    assert "range_unverified_pileup" in codes and "sequential_suffix" not in codes


def test_a_few_users_without_reception_in_one_hundred_numbers_of_a_busy_range_have_them_refused_to_nobody() -> None:
    judged = Judged()
    for n in range(60):
        judged.see(row_of(n * 37), seen(SENT, n * 60.0), seen(VERIFIED, n * 60.0 + 20))
        if n % 12 == 0:
            judged.see(row_of(5), seen(SENT, n * 60.0 + 30))
    assert BLOCKED not in judged.levels(row_of(5))


def test_who_refuses_learns_nothing_of_a_range_it_does_not_know() -> None:
    judged = Judged().see(row_of(1), *(seen(SignalKind.REFUSED, n * 1.0) for n in range(50)))
    assert judged.node().tried == judged.node().at_s == 0.0


def row_of(number: int) -> str:
    """The key of one of the hundred rows of the range."""
    return feature_key(Kind.ROW, f"+99890123.{number // 10 % 10}.{number % 10}", "shop")


def test_receipts_that_name_no_more_than_the_range_are_missed_in_no_row_of_it() -> None:
    top = Node(receipts=100.0, slow=100.0)
    node = Node(bare=10.0, verified_fast=10.0, verified_day=10.0)
    named = {kind: {each.code for each in findings(kind, node, top, 1.0, DEFAULT)} for kind in (Kind.RANGE, Kind.ROW)}
    assert Rule.VERIFIED_WITHOUT_RECEIPT in named[Kind.RANGE]
    assert Rule.VERIFIED_WITHOUT_RECEIPT not in named[Kind.ROW]
