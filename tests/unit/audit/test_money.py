"""Caps, kept and overspent on purpose."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.history import History
from tests.unit.audit.test_checks import at, broken, kept, open_attempt
from watchword.audit.checks import audit
from watchword.audit.facts import Counter, Facts, Hold
from watchword.audit.versions import Limit
from watchword.kernel.spending import Cap

PRICE = 100
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
KEY = "hour/shop/-/2026-03-02T09"
COUNTER = Counter(KEY, "shop", "hour", HOUR + timedelta(hours=1), 10 * PRICE, 0, 10 * PRICE)


def spent(facts: Facts | None = None, **changes: Any) -> Facts:
    """A system in which one counter stands so."""
    return replace(facts or kept(), counters=(replace(COUNTER, **changes),), prices_micros={"*": PRICE})


def in_parts(parts: int, *, attempts: int = 1) -> Facts:
    """A send that left in so many parts."""
    history = History().requested().assessed().issued()
    for number in range(1, attempts + 1):
        history.queued(try_no=number).made(try_no=number, segments=parts)
    return kept(history)


FIVE_PARTS = in_parts(5)  # of the hour in which `HOUR` was read: the clock may strike before a test begins


def test_cap_that_is_used_to_its_last_is_kept_and_counted() -> None:
    [finding] = audit(spent(), ["A11"])
    assert (finding.kept, finding.notes) == (True, ("1 counters of caps compared",))


@pytest.mark.parametrize(
    "changes", [{"spent_micros": 11 * PRICE}, {"spent_micros": 9 * PRICE, "held_micros": 2 * PRICE}]
)
def test_cap_that_is_overspent_is_named(changes: dict[str, Any]) -> None:
    facts = spent(**changes)
    holds = (Hold(UUID(int=1), 1, 2 * PRICE, (KEY,)),) if "held_micros" in changes else ()
    assert broken(replace(facts, holds=holds), "A11") == [KEY]


@pytest.mark.parametrize(
    ("facts", "over", "is_broken"),
    [
        (in_parts(3), 2, False),
        (in_parts(3), 3, True),
        (in_parts(1, attempts=2), 1, False),  # another account took over
        (in_parts(1), 1, True),
    ],
)
def test_what_more_parts_than_one_came_to_is_excused_and_no_more(facts: Facts, over: int, is_broken: bool) -> None:
    assert bool(broken(spent(facts, spent_micros=(10 + over) * PRICE), "A11")) == is_broken


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "hour/shop/other/2026-03-02T09"},
        {"key": "hour/shop/GB/2026-03-02T09"},
        {"cap": "others"},
        {"ends_at": HOUR - timedelta(hours=1)},
    ],
)
def test_only_sends_that_counted_under_a_counter_excuse_it(changes: dict[str, Any]) -> None:
    other = Limit(Cap(id="others", tenant="other", hour_micros=PRICE), HOUR - timedelta(days=30))
    facts = replace(FIVE_PARTS, limits=(other,))
    assert broken(spent(facts, spent_micros=12 * PRICE, **changes), "A11") == [changes.get("key", KEY)]
    assert broken(spent(facts, spent_micros=12 * PRICE, key="hour/shop/shop.web/2026-03-02T09"), "A11") == []


@pytest.mark.parametrize(
    ("since_h", "until_h", "is_broken"),
    [(-30, None, False), (-30, 0.5, False), (-30, -0.5, True), (1.5, None, True)],
)
def test_limit_that_was_lowered_takes_nothing_back(since_h: float, until_h: float | None, is_broken: bool) -> None:
    until = None if until_h is None else HOUR + timedelta(hours=until_h)
    before = Limit(Cap(id="shop", tenant="shop", hour_micros=20 * PRICE), HOUR + timedelta(hours=since_h), until)
    facts = replace(spent(spent_micros=20 * PRICE), limits=(before,))
    assert bool(broken(facts, "A11")) == is_broken


def test_counter_that_began_before_what_is_looked_at_is_told_and_not_judged() -> None:
    facts = spent(spent_micros=99 * PRICE)
    facts = replace(facts, live=replace(facts.live, kept_since=HOUR))
    [finding] = audit(facts, ["A11"])
    assert finding.breaches == ()
    assert finding.notes == ("1 counters of caps compared", "1 of them began before what was looked at")


@pytest.mark.parametrize("held", [0, 2 * PRICE])
def test_counter_that_holds_something_else_than_is_reserved_is_named(held: int) -> None:
    hold = Hold(UUID(int=1), 1, PRICE, (KEY,))
    assert broken(replace(spent(spent_micros=0, held_micros=held), holds=(hold,)), "A11") == [KEY]
    assert broken(replace(spent(spent_micros=0, held_micros=PRICE), holds=(hold,)), "A11") == []


def test_reservation_under_no_counter_is_named() -> None:
    assert broken(kept(holds=(Hold(UUID(int=1), 1, PRICE, (KEY,)),)), "A11") == [KEY]


@pytest.mark.parametrize(
    ("ended_s", "under_way", "is_broken"), [(-151, False, True), (-149, False, False), (-900, True, False)]
)
def test_money_that_is_held_for_a_send_that_is_long_over_is_named(
    ended_s: float, under_way: bool, is_broken: bool
) -> None:
    facts = kept()
    [row] = facts.live.verifications.values()
    rows = {row.id: replace(row, expires_at=at(facts, ended_s))}
    facts = replace(facts, live=replace(facts.live, verifications=rows))
    attempts = (open_attempt(facts),) if under_way else ()
    facts = spent(replace(facts, open_attempts=attempts), spent_micros=0, held_micros=PRICE)
    facts = replace(facts, holds=(Hold(row.id, 1, PRICE, (KEY,)),))
    assert broken(facts, "A11") == ([str(row.id)] if is_broken else [])


def test_money_that_is_held_for_a_live_verification_is_where_it_belongs() -> None:
    facts = kept(History().requested())
    [row] = facts.live.verifications.values()
    rows = {row.id: replace(row, expires_at=at(facts, -900))}
    facts = spent(replace(facts, live=replace(facts.live, verifications=rows)), spent_micros=0, held_micros=PRICE)
    assert broken(replace(facts, holds=(Hold(row.id, 1, PRICE, (KEY,)),)), "A11") == []
