"""Processes of our own command line that are born warm: forked from one that has imported what they need.

An interpreter spends a second on imports before a worker does anything, and a laptop starts nine. The standard
library's fork server imports once; what it forks is a process like any other, with its own log, environment, group and
end. It ends with us, and its children with it.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from watchword.local.process import Program
from watchword.local.tether import tie_to_parent

COMMAND = (sys.executable, "-m", "watchword")
_COMM_MAX = 15
_FILES_MAX = 65_536

# The standard library looks after every child whenever it starts another one, and an exit code can be read only once.
_LOOKING = threading.Lock()


class Forked:
    """A child of the fork server."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        """Its exit code, None while it runs; negative for the signal that ended it."""
        with _LOOKING:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(COMMAND, timeout or 0.0)
        return code

    def kill(self) -> None:
        """SIGKILL to it, and to nothing that it started."""
        with _LOOKING:
            self._process.kill()


def fork(program: Program) -> Forked:
    """Bring `program` to life, whose command begins with `COMMAND`. Raises OSError."""
    return begin(_become, program)


def begin(life: Callable[..., None], *arguments: Any) -> Forked:
    """A child that has imported what our commands and workers need, and lives `life(*arguments)`. Raises OSError."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.preload"])
    atexit.unregister(_end)
    atexit.register(_end)  # runs before whatever was registered earlier
    with _LOOKING:
        # A daemon is one that does not keep us from ending when it is left running.
        process = context.Process(target=life, args=arguments, daemon=True)
        process.start()
    return Forked(process)


def _end() -> None:
    """The fork server and its tracker end before we do, and are waited for. They would end by themselves, but after us,
    and whoever looks then finds something left. There is no public way to ask for it."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def inherit_nothing() -> None:
    """Close what the fork server handed on. One of these pipes would keep it running when we are killed."""
    os.closerange(3, _FILES_MAX)


def _become(program: Program) -> None:
    """The life of a child, from its fork to its end."""
    inherit_nothing()
    os.setsid()
    tie_to_parent(int(program.orphan_signal))
    with program.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(program.directory)
    if program.environment is not None:
        os.environ.clear()
        os.environ.update(program.environment)
    sys.argv = ["watchword", *program.command[len(COMMAND) :]]
    Path("/proc/self/comm").write_text(f"ww-{program.name}"[:_COMM_MAX], "ascii")
    runpy.run_module(COMMAND[-1], run_name="__main__", alter_sys=True)
