"""When a process takes itself for one that stood still."""

from watchword.dispatch.awake import LOOK_EVERY_S, STOOD_STILL_S, Awake


def test_it_is_awake_since_its_first_look_for_as_long_as_it_looks() -> None:
    awake = Awake()
    assert [awake.look(100 + number * LOOK_EVERY_S) for number in range(200)] == [100] * 200
    assert awake.pauses == 0


def test_after_a_pause_it_is_awake_since_its_end() -> None:
    awake = Awake()
    for now_s in (100.0, 100.25, 107.0, 107.25):
        awake.look(now_s)
    assert awake.look(107.5) == 107.0
    assert awake.pauses == 1


def test_looks_that_come_late_are_no_pause() -> None:
    awake = Awake()
    awake.look(100)
    assert awake.look(100 + STOOD_STILL_S) == 100
    assert LOOK_EVERY_S * 3 < STOOD_STILL_S, "a look or two may be missed"
