"""The short form of `make simulate`: some histories from seeds, every seed that ever found something, and some
histories that hypothesis invents."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.histories import play
from tests.simulation.machine import Machine
from tests.simulation.seeds import FOUND

ROOT = Path(__file__).parents[2]
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


def test_a_seed_is_one_history_in_every_process() -> None:
    told = play(4, verbose=True)
    again = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "4"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "17"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert again.stdout.splitlines() == [*told.log, "seed 4 keeps every promise"]
