"""When the judge's stream is taken for standing still: a number blocked for pumping must not stay unjudged for hours
because a stream that looks well reads nothing any more."""

from watchword.fraud.standstill import PATIENCE_S, Standing


def test_a_partition_in_which_nothing_moves_is_told_once_patience_is_over() -> None:
    standing = Standing()
    assert standing.look({2: 71}, {2: 226}, 0.0) == []
    assert standing.look({2: 71}, {2: 230}, PATIENCE_S) == []
    assert standing.look({2: 71}, {2: 231}, PATIENCE_S + 1) == [2]


def test_a_partition_that_moves_is_only_behind() -> None:
    standing = Standing()
    for second in range(0, 200, 10):
        assert standing.look({2: second}, {2: 1_000}, float(second)) == []


def test_a_partition_without_anything_left_may_stand_for_ever() -> None:
    standing = Standing()
    assert standing.look({0: 5, 1: 0}, {0: 5, 1: 0}, 0.0) == []
    assert standing.look({0: 5, 1: 0}, {0: 5, 1: 0}, 9_999.0) == []
    assert standing.look({0: 5}, {0: 6, 1: 0}, 9_999.0) == [], "its record has only just come"


def test_what_was_never_committed_stands_at_the_beginning() -> None:
    standing = Standing()
    assert standing.look({}, {3: 7}, 0.0) == []
    assert standing.look({}, {3: 7}, PATIENCE_S + 1) == [3]


def test_a_partition_that_went_to_another_process_is_forgotten() -> None:
    standing = Standing()
    standing.look({2: 71}, {2: 226}, 0.0)
    standing.look({}, {}, 30.0)
    assert standing.look({2: 71}, {2: 226}, PATIENCE_S + 1) == []


def test_while_the_broker_is_silent_nobody_can_be_blamed() -> None:
    standing = Standing()
    standing.look({2: 71}, {2: 226}, 0.0)
    standing.forget()
    assert standing.look({2: 71}, {2: 226}, PATIENCE_S + 1) == []
