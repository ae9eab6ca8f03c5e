"""Which offset may be committed."""

import pytest

from watchword.dispatch.inflight import Watermark


def test_nothing_is_committed_before_anything_was_taken() -> None:
    assert Watermark().position is None


def test_the_lowest_unfinished_record_holds_the_offset() -> None:
    mark = Watermark()
    for offset in (5, 6, 9):
        mark.take(offset)
    mark.finish(6)
    mark.finish(9)
    assert (mark.position, mark.spread) == (5, 3)
    mark.finish(5)
    assert (mark.position, mark.spread) == (10, 0)


def test_a_record_that_was_passed_is_not_taken_again() -> None:
    mark = Watermark()
    mark.take(5)
    with pytest.raises(ValueError, match="passed already"):
        mark.take(5)
