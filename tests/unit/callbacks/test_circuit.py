"""An endpoint that fails is left alone, looked at seldom, and called fully again once it is back."""

from watchword.callbacks.decide.circuit import FAILURES_MAX, OPEN_MAX_S, OPEN_MIN_S, Circuit

LANES = 8


def failed(times: int, *, at_s: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.failed(at_s)
    return circuit


def test_a_well_endpoint_has_every_lane_that_is_free() -> None:
    circuit = Circuit()
    assert circuit.room(0.0, inside=0, inside_max=LANES) == LANES
    assert circuit.room(0.0, inside=6, inside_max=LANES) == 2
    assert circuit.room(0.0, inside=LANES + 1, inside_max=LANES) == 0
    assert not circuit.is_open(0.0)


def test_it_stays_closed_below_the_number_of_failures_and_one_success_forgets_them() -> None:
    circuit = failed(FAILURES_MAX - 1)
    assert circuit.room(0.0, inside=0, inside_max=LANES) == LANES
    circuit.well()
    for _ in range(FAILURES_MAX - 1):
        circuit.failed(0.0)
    assert circuit.room(0.0, inside=0, inside_max=LANES) == LANES


def test_after_five_failures_in_a_row_nobody_calls_and_then_one_call_looks() -> None:
    circuit = failed(FAILURES_MAX)
    assert circuit.is_open(0.0)
    assert circuit.room(OPEN_MIN_S - 0.1, inside=0, inside_max=LANES) == 0
    assert circuit.room(OPEN_MIN_S, inside=0, inside_max=LANES) == 1
    assert circuit.room(OPEN_MIN_S, inside=1, inside_max=LANES) == 0


def test_each_look_that_fails_makes_it_stay_open_twice_as_long_up_to_a_minute() -> None:
    circuit, now_s, stays = failed(FAILURES_MAX), 0.0, []
    for _ in range(6):
        reopens_s = next(s for s in range(1_000) if circuit.room(now_s + s, inside=0, inside_max=LANES))
        stays.append(reopens_s)
        now_s += reopens_s
        circuit.failed(now_s)
    assert stays == [5, 10, 20, 40, 60, 60]
    assert OPEN_MAX_S == 60.0


def test_calls_under_way_when_it_opened_do_not_keep_it_open_longer() -> None:
    circuit = failed(FAILURES_MAX)
    for _ in range(LANES):
        circuit.failed(1.0)
    assert circuit.room(OPEN_MIN_S, inside=0, inside_max=LANES) == 1


def test_a_look_that_succeeds_gives_every_lane_back() -> None:
    circuit = failed(FAILURES_MAX)
    circuit.well()
    assert circuit.room(OPEN_MIN_S, inside=0, inside_max=LANES) == LANES
    assert not circuit.is_open(OPEN_MIN_S)


def test_an_endpoint_that_asks_to_be_left_alone_is_and_never_for_less_than_before() -> None:
    circuit = Circuit()
    circuit.pause(0.0, 30.0)
    circuit.pause(0.0, 1.0)
    assert circuit.room(29.9, inside=0, inside_max=LANES) == 0
    assert circuit.room(30.0, inside=0, inside_max=LANES) == LANES
