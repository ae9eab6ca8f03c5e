"""When calls to what fails stop, and when they come back."""

import pytest

from watchword.dispatch.breaker import CALLS_MAX, CALLS_MIN, PROBES, Breaker, State, Word


def after(*words: Word, at_s: float = 0.0, breaker: Breaker | None = None) -> Breaker:
    breaker = breaker or Breaker()
    for word in words:
        if breaker.enter(at_s):
            breaker.leave(word, at_s)
    return breaker


FAILED = (Word.FAILED,)
WELL = (Word.WELL,)


def test_twenty_calls_of_which_half_failed_open_it() -> None:
    assert after(*WELL * 10, *FAILED * 10).state(0) is State.OPEN


def test_fewer_than_twenty_calls_say_nothing() -> None:
    assert after(*FAILED * (CALLS_MIN - 1)).state(0) is State.CLOSED


def test_fewer_than_half_keep_it_closed() -> None:
    assert after(*WELL * 11, *FAILED * 9).state(0) is State.CLOSED


def test_what_went_well_before_an_outage_does_not_hold_it_closed() -> None:
    busy = after(*WELL * 3_000)
    assert after(*FAILED * (CALLS_MAX // 2 - 1), breaker=busy).state(0) is State.CLOSED
    assert after(*FAILED, breaker=busy).state(0) is State.OPEN


def test_one_call_that_says_that_nobody_is_there_opens_it() -> None:
    assert after(*WELL * 50, Word.GONE).state(0) is State.OPEN


def test_being_refused_once_opens_it() -> None:
    assert after(Word.REFUSED).state(0) is State.OPEN


def test_what_says_nothing_is_not_counted() -> None:
    assert after(*[Word.SILENT] * 100, *FAILED * 19).state(0) is State.CLOSED


def test_failures_are_forgotten_after_half_a_minute() -> None:
    breaker = after(*FAILED * 19)
    assert after(*WELL, *FAILED, at_s=40, breaker=breaker).state(40) is State.CLOSED


def test_it_lets_nobody_through_while_open_and_three_afterwards() -> None:
    breaker = after(Word.REFUSED)
    assert not breaker.enter(14.9)
    assert [breaker.enter(15.0) for _ in range(PROBES + 1)] == [True] * PROBES + [False]


def test_three_good_probes_close_it() -> None:
    breaker = after(*WELL * PROBES, at_s=15.0, breaker=after(Word.REFUSED))
    assert breaker.state(15.0) is State.CLOSED
    assert after(*FAILED * 19, at_s=16.0, breaker=breaker).state(16.0) is State.CLOSED


@pytest.mark.parametrize(("again", "open_s"), [(1, 30.0), (2, 60.0), (3, 60.0)])
def test_each_bad_probe_doubles_the_wait_up_to_a_minute(again: int, open_s: float) -> None:
    breaker, now_s = after(Word.REFUSED), 0.0
    for _ in range(again):
        now_s += 60.0
        after(*FAILED, at_s=now_s, breaker=breaker)
    assert breaker.state(now_s + open_s - 0.1) is State.OPEN
    assert breaker.state(now_s + open_s) is State.HALF_OPEN


def test_a_probe_that_was_never_made_gives_its_place_back() -> None:
    breaker = after(*[Word.SILENT] * 10, at_s=15.0, breaker=after(Word.REFUSED))
    assert breaker.state(15.0) is State.HALF_OPEN
    assert breaker.lets_through(15.0)


def test_calls_that_end_after_it_opened_do_not_change_it() -> None:
    breaker = Breaker()
    assert breaker.enter(0) and breaker.enter(0)
    breaker.leave(Word.REFUSED, 0)
    breaker.leave(Word.WELL, 1)
    assert breaker.state(1) is State.OPEN
