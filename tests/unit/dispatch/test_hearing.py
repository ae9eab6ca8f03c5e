"""When an account is taken for one that answers nothing any more."""

from watchword.dispatch.hearing import MUTE_AFTER_S, WAITING_MIN, Hearing

AWAKE_ALL_ALONG = float("-inf")


def calling(calls: int, *, at_s: float = 0.0) -> tuple[Hearing, list[int]]:
    hearing = Hearing()
    return hearing, [hearing.began(at_s) for _ in range(calls)]


def test_ten_calls_that_wait_in_vain_are_enough() -> None:
    hearing, _ = calling(WAITING_MIN)
    assert not hearing.mute(MUTE_AFTER_S - 0.01, AWAKE_ALL_ALONG)
    assert hearing.mute(MUTE_AFTER_S, AWAKE_ALL_ALONG)


def test_nine_are_not() -> None:
    hearing, _ = calling(WAITING_MIN - 1)
    assert not hearing.mute(60, AWAKE_ALL_ALONG)


def test_nine_that_wait_and_one_that_was_just_made_are_not() -> None:
    hearing, _ = calling(WAITING_MIN - 1)
    hearing.began(59.9)
    assert not hearing.mute(60, AWAKE_ALL_ALONG)


def test_a_slow_account_that_answers_one_by_one_is_heard() -> None:
    hearing, numbers = calling(WAITING_MIN + 20)
    for second, number in enumerate(numbers[:20], start=1):
        hearing.ended(number, second, heard=True)
        assert not hearing.mute(second + MUTE_AFTER_S - 0.01, AWAKE_ALL_ALONG)


def test_an_answer_ends_it() -> None:
    hearing, numbers = calling(WAITING_MIN + 1)
    hearing.ended(numbers[0], 5, heard=True)
    assert not hearing.mute(5, AWAKE_ALL_ALONG)


def test_a_timeout_is_no_answer() -> None:
    hearing, numbers = calling(WAITING_MIN + 1)
    hearing.ended(numbers[0], 5, heard=False)
    assert hearing.mute(5, AWAKE_ALL_ALONG)


def test_once_too_few_wait_nothing_is_said_of_it_any_more() -> None:
    hearing, numbers = calling(WAITING_MIN)
    hearing.ended(numbers[0], 5, heard=False)
    assert not hearing.mute(5, AWAKE_ALL_ALONG)


def test_what_went_well_long_ago_does_not_help() -> None:
    hearing = Hearing()
    hearing.ended(hearing.began(0), 0.1, heard=True)
    for _ in range(WAITING_MIN):
        hearing.began(100)
    assert not hearing.mute(101, AWAKE_ALL_ALONG)
    assert hearing.mute(102, AWAKE_ALL_ALONG)


def test_whoever_was_not_awake_starts_to_listen_anew() -> None:
    hearing, _ = calling(WAITING_MIN)
    assert not hearing.mute(60, awake_s=59)
    assert hearing.mute(59 + MUTE_AFTER_S, awake_s=59)
