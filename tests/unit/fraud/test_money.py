"""Caps and what a send takes from them: which counters, how much, and what a refusal says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.unit.fraud.facts import NOW, VERIFICATION, asked, requested
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import SignalKind, SignalObserved
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.fraud.decide.assess import Asked, decide
from watchword.fraud.decide.money import Counter, Purchase, Purse, counters_of, price_of
from watchword.fraud.worker import assessed_at_once
from watchword.kernel.feature import Kind
from watchword.kernel.spending import Cap
from watchword.kernel.tenancy import FraudMode
from watchword.kernel.verdict import Done, Write

AT = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
HOUR = Counter("hour/all/-/2026-03-02T09", "hour", "all", 1_000, NOW + timedelta(hours=1))


def keys(*caps: Cap, tenant: str = "shop", country: str = "UZ", api_key: str = "web") -> list[str]:
    return [each.key for each in counters_of(caps, tenant=tenant, country=country, api_key=api_key, now=AT)]


def test_a_cap_counts_by_the_clock_in_utc_an_hour_and_a_day() -> None:
    cap = Cap(id="all", hour_micros=5, day_micros=50)
    hour, day = counters_of([cap], tenant="shop", country="UZ", api_key="", now=AT)
    assert (hour.key, hour.limit_micros) == ("hour/all/-/2026-03-02T23", 5)
    assert (day.key, day.limit_micros) == ("day/all/-/2026-03-02", 50)
    assert hour.ends_at == day.ends_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert keys(Cap(id="all", day_micros=50)) == ["day/all/-/2026-03-02"]


@pytest.mark.parametrize(
    ("cap", "whose"),
    [
        (Cap(id="c", hour_micros=1), "-"),
        (Cap(id="c", hour_micros=1, each="tenant"), "shop"),
        (Cap(id="c", hour_micros=1, each="country"), "UZ"),
        (Cap(id="c", hour_micros=1, each="api_key"), "shop.web"),
        (Cap(id="c", hour_micros=1, tenant="shop"), "-"),
        (Cap(id="c", hour_micros=1, tenant="other"), None),
        (Cap(id="c", hour_micros=1, country="UZ"), "-"),
        (Cap(id="c", hour_micros=1, country="IN"), None),
        (Cap(id="c", hour_micros=1, tenant="shop", api_key="web"), "-"),
        (Cap(id="c", hour_micros=1, tenant="shop", api_key="batch"), None),
    ],
)
def test_a_cap_is_for_whom_it_names(cap: Cap, whose: str | None) -> None:
    assert keys(cap) == ([] if whose is None else [f"hour/c/{whose}/2026-03-02T23"])


def test_what_came_without_a_key_counts_under_no_keys_cap() -> None:
    caps = (Cap(id="a", hour_micros=1, each="api_key"), Cap(id="b", hour_micros=1, tenant="shop", api_key="web"))
    assert keys(*caps, Cap(id="c", hour_micros=1), api_key="") == ["hour/c/-/2026-03-02T23"]


def test_a_country_without_a_price_of_its_own_costs_what_the_rest_costs() -> None:
    prices = {"UZ": 90_000, "*": 7_000}
    assert [price_of(prices, country) for country in ("UZ", "IN")] == [90_000, 7_000]
    assert price_of({}, "IN") == 0


def test_a_send_takes_from_all_of_its_counters_or_from_none() -> None:
    wide, narrow = HOUR, msgspec_replaced(HOUR, key="hour/narrow", limit_micros=250)
    purse = Purse({"hour/narrow": 100})
    assert purse.take((wide, narrow), 150) is None
    short = purse.take((wide, narrow), 1)
    assert short is not None
    assert (short.counter.key, short.wanted_micros) == ("hour/narrow", 251)
    assert purse.take((wide,), 850) is None, "what the narrow one refused took nothing from the wide one"
    assert purse.take((wide,), 1) is not None


def msgspec_replaced(counter: Counter, *, key: str, limit_micros: int) -> Counter:
    return Counter(key, counter.window, counter.cap, limit_micros, counter.ends_at)


def buying(used: int, facts: Asked | None = None, price: int = 300) -> Asked:
    before = facts or asked()
    purchase = Purchase(price, (HOUR,), Purse({HOUR.key: used}))
    return Asked(
        before.state, before.sends_assessed, before.rules, before.mode, before.countries, before.levels, purchase
    )


def decided(facts: Asked) -> tuple[VerificationAssessed, list[Write], set[SignalKind]]:
    verdict = decide(requested(), facts, NOW)
    assert isinstance(verdict, Done)
    [assess, *money] = verdict.writes
    [assessed, *signals] = assess.emits
    assert isinstance(assessed.event, VerificationAssessed)
    kinds = {one.kind for each in signals if isinstance(each.event, SignalObserved) for one in each.event.observations}
    return assessed.event, money, kinds


def test_a_send_that_is_let_through_holds_its_price_until_a_minute_after_its_life() -> None:
    assessed, [reserve], _ = decided(buying(700))
    assert assessed.action is Action.ALLOW
    assert (reserve.statement, reserve.key) == ("reserve", f"{VERIFICATION}/1")
    assert reserve.row == (VERIFICATION, 1, 300, HOUR.key, assessed.expires_at + timedelta(minutes=1))


@pytest.mark.parametrize("mode", FraudMode)
def test_a_send_beyond_the_cap_is_refused_in_every_mode_and_says_by_which(mode: FraudMode) -> None:
    assessed, [refused], kinds = decided(buying(701, asked(mode=mode)))
    assert (assessed.action, assessed.would, assessed.score) == (Action.BLOCK, Action.BLOCK, 100)
    [reason] = assessed.reasons
    assert (reason.code, reason.feature) == ("cost_cap", HOUR.key)
    assert (reason.value, reason.threshold) == (1_001.0, 1_000.0)
    assert (refused.statement, refused.row) == ("count_refused", (HOUR.key,))
    assert kinds == {SignalKind.REFUSED}
    assert assessed.mode is (Mode.ENFORCE if mode is FraudMode.ENFORCE else Mode.MONITOR)


def test_a_user_who_is_vouched_for_passes_no_cap() -> None:
    event = requested(signals=msgspec.structs.replace(requested().signals, trusted=True))
    verdict = decide(event, buying(1_000), NOW)
    assert isinstance(verdict, Done)
    told = verdict.writes[0].emits[0].event
    assert isinstance(told, VerificationAssessed)
    assert told.action is Action.BLOCK


def test_a_cap_is_always_told() -> None:
    event = requested(ttl_s=300)
    verdict = decide(event, replace(buying(1_000), silenced=frozenset(Kind)), NOW)
    assert isinstance(verdict, Done)
    told = verdict.writes[0].emits[0].event
    assert isinstance(told, VerificationAssessed)
    assert (told.action, told.silent) == (Action.BLOCK, False)


def test_what_is_blocked_anyway_and_what_comes_too_late_cost_nothing() -> None:
    facts = buying(0, asked(levels={Kind.RANGE: RiskLevel.BLOCKED}))
    assert decided(facts)[1] == []
    late = decide(requested(), buying(0), NOW + timedelta(seconds=300))
    assert isinstance(late, Done)
    assert [write.statement for write in late.writes] == ["assess"]


def test_what_money_hangs_on_goes_the_usual_way_and_the_rest_the_shorter() -> None:
    bought, free = decide(requested(), buying(100_000), NOW), decide(requested(), asked(), NOW)
    assert isinstance(bought, Done)
    assert isinstance(free, Done)
    assert assessed_at_once(bought) is None
    assert assessed_at_once(free) == (1, False)
