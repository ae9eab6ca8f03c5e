"""A worker that is set up wrongly says which variable, where it came from and what to do, and ends with 2."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import command_line
from watchword.local.stack import Stack

Wrong = dict[str, str]


def runs(stack: Stack, *words: str, **wrong: str) -> "subprocess.CompletedProcess[str]":
    """`watchword` with the settings of the stack's workers, but for what is wrong."""
    settings = {
        "WATCHWORD_POSTGRES": stack.dsn,
        "WATCHWORD_KAFKA": stack.cluster.bootstrap,
        "WATCHWORD_KEYRING": str(stack.plan.directory.resolve() / "keyring.json"),
        **wrong,
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return command_line.run(*words, environment=own | {name: value for name, value in settings.items() if value})


# What is wrong, and what must be said: the variable, its source, the fix.
CASES: dict[str, tuple[Wrong, tuple[str, ...]]] = {
    "wrong value": ({"WATCHWORD_OPS_PORT": "99999"}, ("WATCHWORD_OPS_PORT (environment)", "65535", "Port of /livez")),
    "unknown variable": ({"WATCHWORD_KAKFA": "x"}, ("WATCHWORD_KAKFA (environment)", "Did you mean WATCHWORD_KAFKA?")),
    "missing variable": ({"WATCHWORD_KAFKA": ""}, ("WATCHWORD_KAFKA is not set", "Set it to: Kafka bootstrap servers")),
    "another worker's setting": (
        {"WATCHWORD_DISPATCH_INFLIGHT_MAX": "many"},
        ("WATCHWORD_DISPATCH_INFLIGHT_MAX (environment)", "Messages in flight"),
    ),
    "no keyring": ({"WATCHWORD_KEYRING": "/nowhere/keyring.json"}, ("/nowhere/keyring.json", "watchword keys init")),
}


@pytest.mark.parametrize("case", CASES)
def test_worker_that_is_set_up_wrongly_says_what_to_do(stack: Stack, case: str) -> None:
    wrong, said = CASES[case]
    ended = runs(stack, "run", "dispatch", **wrong)
    assert ended.returncode == 2, ended
    assert [words for words in said if words not in ended.stderr] == [], ended.stderr
    assert "Traceback" not in ended.stderr and stack.dsn not in ended.stderr


FILES: dict[str, tuple[str, Callable[[Path], tuple[str, ...]]]] = {
    "wrong value": ('log_level = "loud"\n', lambda file: (f"WATCHWORD_LOG_LEVEL ({file}:1)", "debug")),
    "unknown name": ("\nopsport = 1\n", lambda file: (f"opsport ({file}:2)", "Did you mean ops_port?")),
    "unknown name of a worker": (
        "[dispatch]\ninflight = 1\n",
        lambda file: (f"inflight in [dispatch] ({file}:2)", "Did you mean inflight_max?"),
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_file_that_is_wrong_is_named_with_its_line(stack: Stack, tmp_path: Path, case: str) -> None:
    text, said = FILES[case]
    file = tmp_path / "watchword.toml"
    file.write_text(text, "utf-8")
    ended = runs(stack, "run", "dispatch", WATCHWORD_CONFIG=str(file))
    assert ended.returncode == 2, ended
    assert [words for words in said(file) if words not in ended.stderr] == [], ended.stderr


async def test_worker_that_does_not_exist_is_named_with_those_that_do(stack: Stack) -> None:
    ended = await asyncio.to_thread(runs, stack, "run", "dispatcher")
    assert ended.returncode == 2
    assert "'dispatcher'" in ended.stderr and "dispatch" in ended.stderr and "timers" in ended.stderr
