"""Shares of an account's pace: never more than the limit in all, and nobody's part left lying for long."""

import random

import pytest

from watchword.dispatch.decide.sharing import usable, written
from watchword.dispatch.pacing import Pace

LIMIT = 90.0


class Table:
    """What stands written, and processes that renew, fall behind, and die."""

    def __init__(self) -> None:
        self.stands: dict[str, float] = {}
        self.using: dict[str, float] = {}
        self.limit = LIMIT

    def renew(self, name: str, *, heard: bool = True) -> None:
        """One turn: `heard` is False where the commit was made and its answer got lost."""
        others = [share for owner, share in self.stands.items() if owner != name]
        self.stands[name] = written(self.limit, self.using.get(name, 0.0), others)
        self.holds()
        if heard:
            self.using[name] = usable(self.limit, self.stands[name], others)
        self.holds()

    def over(self, name: str) -> None:
        """Its lease ends: it used nothing any more before the others may have its part."""
        self.using.pop(name, None)
        self.stands.pop(name, None)

    def holds(self) -> None:
        assert sum(self.stands.values()) <= LIMIT + 1e-9
        assert all(self.using.get(name, 0.0) <= share + 1e-9 for name, share in self.stands.items())


def test_one_process_has_all_of_it_at_once() -> None:
    table = Table()
    table.renew("a")
    assert table.using == {"a": LIMIT}


def test_a_second_process_gets_its_half_once_the_first_uses_less() -> None:
    table = Table()
    for name in "aba":
        table.renew(name)
    assert table.using == {"a": LIMIT / 2, "b": 0.0}
    for name in "ab":
        table.renew(name)
    assert table.using == {"a": LIMIT / 2, "b": LIMIT / 2}


def test_what_a_dead_process_held_goes_to_the_others_when_its_lease_is_over() -> None:
    table = Table()
    for name in "abcabcabc":
        table.renew(name)
    assert table.using == dict.fromkeys("abc", LIMIT / 3)
    table.over("b")
    for name in "acac":
        table.renew(name)
    assert table.using == {"a": LIMIT / 2, "c": LIMIT / 2}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_of_turns_and_deaths_together_they_never_use_more(seed: int) -> None:
    draw, table = random.Random(seed), Table()
    for _ in range(300):
        name = draw.choice("abcdef")
        if draw.random() < 0.1:
            table.over(name)
        else:
            table.renew(name, heard=draw.random() > 0.2)
    for name in "abcdef" * 3:
        table.renew(name)
    assert sum(table.using.values()) == pytest.approx(LIMIT)


def test_a_lower_limit_holds_for_each_at_once_and_for_what_stands_a_turn_later() -> None:
    table = Table()
    for name in "abab":
        table.renew(name)
    table.limit = 30.0
    for name in "abab":
        table.renew(name)
    assert table.using == table.stands == {"a": 15.0, "b": 15.0}


def test_a_pace_hands_out_nothing_without_a_share_or_past_its_end() -> None:
    pace = Pace()
    assert pace.delay_s(0.0) == float("inf")
    pace.share(10, until_s=5.0)
    assert (pace.delay_s(4.9), pace.delay_s(5.0)) == (0.0, float("inf"))


def test_an_account_that_throttles_stays_slowed_through_a_new_share() -> None:
    pace = Pace(100)
    pace.throttled(0.0)
    pace.share(50, until_s=99.0)
    assert pace.rate == pytest.approx(35)
