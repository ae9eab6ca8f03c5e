"""The wrong guesses of a number: what one costs, and how long the next must wait."""

from datetime import UTC, datetime, timedelta

from watchword.checks.budgets import charges, retry_after_s, summed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_guess_is_charged_to_the_hour_and_to_the_day() -> None:
    hour, day = charges("shop", "token", per_hour=10, per_day=20)
    assert (hour.key, hour.cost, hour.span) == ("wrong/hour/shop/token", timedelta(minutes=6), timedelta(hours=1))
    assert (day.key, day.cost, day.span) == ("wrong/day/shop/token", timedelta(minutes=72), timedelta(days=1))


def test_numbers_and_tenants_have_budgets_of_their_own() -> None:
    keys = {charge.key for one in ("a", "b") for tenant in ("x", "y")
            for charge in charges(tenant, one, per_hour=1, per_day=1)}  # fmt: skip
    assert len(keys) == 8


def test_what_two_checks_took_from_one_budget_is_given_back_together() -> None:
    hour, day = charges("shop", "token", per_hour=10, per_day=20)
    assert summed([hour, hour, day]) == {hour.key: timedelta(minutes=12), day.key: timedelta(minutes=72)}


def test_the_wait_ends_when_the_fullest_budget_has_room() -> None:
    hour, day = charges("shop", "token", per_hour=10, per_day=20)
    buckets = {hour.key: NOW + timedelta(hours=1), day.key: NOW + timedelta(days=1)}
    assert retry_after_s([hour], buckets, NOW) == 360
    assert retry_after_s([hour, day], buckets, NOW) == 72 * 60


def test_the_wait_is_a_second_at_least() -> None:
    hour, day = charges("shop", "token", per_hour=10, per_day=20)
    assert retry_after_s([hour], {hour.key: NOW - timedelta(days=2)}, NOW) == 1
    assert retry_after_s([hour, day], {}, NOW) == 1
