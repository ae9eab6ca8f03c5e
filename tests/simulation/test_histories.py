"""The short form of `make simulate`: some histories from seeds, every seed that ever found something, and some
histories that hypothesis invents."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.histories import play
from tests.simulation.machine import Machine
from tests.simulation.seeds import FOUND

SHORT = range(1, 13)
FEW = settings(
    max_examples=5,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_histories_keep_every_promise() -> None:
    for seed in SHORT:
        told = play(seed)
        assert not told.broken, str(told)


def test_what_was_found_once_is_not_found_again() -> None:
    for seed, what in FOUND.items():
        told = play(seed)
        assert not told.broken, f"{what}\n{told}"


def test_invented_histories_keep_every_promise() -> None:
    played = Machine.played
    run_state_machine_as_test(Machine, settings=FEW)
    assert Machine.played > played


def test_a_seed_is_one_history() -> None:
    assert play(4).log == play(4).log
