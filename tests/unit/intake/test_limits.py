"""Which limits a send passes, and in which order they refuse."""

import pytest
from msgspec.structs import replace

from tests.support.requests import RULES, SHOP
from watchword.intake.gcra import Rate, per, wait_us
from watchword.intake.limits import Buckets, Limit, limits_of

NOW_US = 1_700_000_000_000_000


def limits(**changes: int) -> tuple[Limit, ...]:
    tenant = replace(SHOP, **changes)
    return limits_of(tenant, RULES, country="IN", range_="+91987654", number_token="n", ip_token="i")


def test_the_number_is_asked_last_so_that_a_flood_never_burns_a_strangers_budget() -> None:
    assert [limit.name for limit in limits()] == ["tenant", "ip", "country", "range", "10min", "day"]


def test_without_a_claimed_address_there_is_no_limit_of_it() -> None:
    found = limits_of(SHOP, RULES, country="IN", range_="+91987654", number_token="n")
    assert [limit.name for limit in found] == ["tenant", "country", "range", "10min", "day"]


def test_keys_of_two_tenants_never_meet() -> None:
    other = limits_of(
        replace(SHOP, id="other"), RULES, country="IN", range_="+91987654", number_token="n", ip_token="i"
    )
    assert not {limit.key for limit in limits()} & {limit.key for limit in other}


@pytest.mark.parametrize(
    ("changes", "admitted", "refused_by", "code"),
    [
        ({"requests_per_second": 1, "requests_burst": 2}, 2, "tenant", "rate_limited"),
        ({"ip_per_hour": 3}, 3, "ip", "rate_limited"),
        ({"country_per_hour": 1}, 1, "country", "rate_limited"),
        ({"range_per_hour": 4}, 4, "range", "rate_limited"),
        ({}, RULES.sends_per_10min, "10min", "number_limited"),
        ({"range_per_hour": 2, "ip_per_hour": 2}, 2, "ip", "rate_limited"),
    ],
)
def test_the_first_limit_without_room_refuses(
    changes: dict[str, int], admitted: int, refused_by: str, code: str
) -> None:
    buckets = Buckets({}, NOW_US)
    wanted = limits(**changes)
    for _ in range(admitted):
        assert buckets.take(wanted) is None
    short = buckets.take(wanted)
    assert short is not None
    assert (short.limit.name, short.limit.code) == (refused_by, code)
    assert short.retry_after_s >= 1


def test_the_day_holds_when_the_ten_minutes_have_passed() -> None:
    tats_us: dict[str, int] = {}
    admitted, now_us = 0, NOW_US
    for _ in range(4):
        buckets = Buckets(tats_us, now_us)
        while buckets.take(limits()) is None:
            admitted += 1
        tats_us |= buckets.changed()
        now_us += 600_000_000
    assert admitted == RULES.sends_per_day
    short = Buckets(tats_us, now_us).take(limits())
    assert short is not None and short.limit.name == "day"


def test_refusals_change_no_bucket() -> None:
    buckets = Buckets({}, NOW_US)
    while buckets.take(limits()) is None:
        pass
    before = buckets.changed()
    buckets.take(limits())
    assert buckets.changed() == before


def test_a_cost_that_is_no_whole_microsecond_is_rounded_up() -> None:
    assert Rate(7, 1, 1).spacing_us == 142_858


def test_a_bucket_fills_up_again_at_its_rate() -> None:
    rate = per(5, 600)
    assert wait_us(rate, NOW_US + 5 * rate.spacing_us, NOW_US) == 120_000_000


def test_room_tells_what_is_left_and_when_all_of_it_is_back() -> None:
    buckets = Buckets({}, NOW_US)
    limit = Limit("tenant", "rate_limited", "k", Rate(2, 1, 10))
    for _ in range(4):
        buckets.take([limit])
    room = buckets.room(limit)
    assert (room.quota, room.window_s, room.remaining, room.reset_s) == (10, 5, 6, 2.0)
