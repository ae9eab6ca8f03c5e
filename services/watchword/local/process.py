"""A child process that cannot be lost: it has a log, a deadline for everything, and dies with us.

Used for the servers a laptop needs. Every child leads its own process group, so that Ctrl-C in a terminal reaches
us alone and we end the children in our own order.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TETHER = Path(__file__).with_name("tether.py")
_POLL_S = 0.02
_KILL_WITHIN_S = 10.0
_FREEZE_WITHIN_S = 10.0
_FREEZE_POLL_S = 0.001
_TAIL_LINES = 15
_TAIL_BYTES = 65_536
_STACK_FRAMES = ("at ", "... ")

# Linux sends the death signal when the *thread* that started a child ends. One thread starts all of them, and it
# lives as long as the interpreter, so that it does not matter who asked.
_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watchword-launcher")


class LocalServerError(RuntimeError):
    """A server on this machine could not be had. The text says which, why, and what would help."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a child runs as. Only root may give one."""

    uid: int
    gid: int


class Launched(Protocol):
    """A running child, as subprocess.Popen knows it."""

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to end it.

    `command[0]` is an absolute path. Both output streams are appended to `log`. `environment` replaces ours, None
    keeps it. `stop_signal` asks politely;
    `orphan_signal` is what the child gets when we die without having asked. `launch` brings it to life.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    directory: Path
    identity: Identity | None = None
    environment: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    stop_within_s: float = 10.0
    launch: "Callable[[Program], Launched] | None" = None


class Process:
    """One running `Program`. Not thread-safe: one owner starts and ends it."""

    def __init__(self, program: Program) -> None:
        """Starts it and returns at once, before it is ready. Raises OSError if it cannot be started at all."""
        self._program = program
        self._launched = _LAUNCHER.submit(program.launch or _execute, program).result()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._launched.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._launched.poll()

    def await_ready(self, answers: Callable[[], bool], within_s: float) -> None:
        """Returns once `answers()` is true; kills the child and raises LocalServerError if it dies or is late."""
        deadline = time.monotonic() + within_s
        while not answers():
            if self.ended_within(_POLL_S):
                raise LocalServerError(f"{self._program.name} ended with {self.exit_code}.\n{self.log_tail()}")
            if time.monotonic() >= deadline:
                self.kill()
                raise LocalServerError(f"{self._program.name} was not ready after {within_s:g} s.\n{self.log_tail()}")

    def stop(self) -> None:
        """Asks it to end, and kills it if it has not ended within its deadline. Harmless when it has ended."""
        if self.exit_code is None:
            self._signal(self._program.stop_signal)
            self.thaw()
        if not self.ended_within(self._program.stop_within_s):
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, and waits until the child is gone."""
        if self.exit_code is None:
            self._signal(signal.SIGKILL)
        self._launched.wait(_KILL_WITHIN_S)

    def freeze(self) -> None:
        """SIGSTOP to the group: it keeps its connections and answers nothing, from when this returns.

        A signal is sent sooner than it is obeyed: a thread on another core may still answer once. On Linux this waits
        for the last thread to stand. Raises LocalServerError if one does not within 10 s.
        """
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + _FREEZE_WITHIN_S
        while self.exit_code is None and not _stands(self.pid):
            if time.monotonic() >= deadline:
                raise LocalServerError(f"{self._program.name} did not stop after {_FREEZE_WITHIN_S:g} s.")
            time.sleep(_FREEZE_POLL_S)

    def thaw(self) -> None:
        """SIGCONT to the group: the end of a freeze, harmless without one."""
        self._signal(signal.SIGCONT)

    def log_tail(self) -> str:
        """The last lines of its log, with the log's path above them; a Java error without its stack."""
        with self._program.log.open("rb") as log:
            log.seek(max(0, self._program.log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line for line in lines if not line.lstrip().startswith(_STACK_FRAMES)][-_TAIL_LINES:]
        return "\n  ".join((f"The end of {self._program.log}:", *told))

    def ended_within(self, timeout_s: float) -> bool:
        """Waits for its end. False if it still runs after `timeout_s`."""
        try:
            self._launched.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it is so young that it does not lead its group yet
            os.kill(self.pid, number)


def _execute(program: Program) -> "subprocess.Popen[bytes]":
    identity = f"{program.identity.uid}:{program.identity.gid}" if program.identity else "-"
    tether = (sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(int(program.orphan_signal)), identity)
    with program.log.open("ab") as log:
        return subprocess.Popen(
            (*tether, *program.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=program.directory,
            env=program.environment,
            start_new_session=True,
        )


def is_running(pid: int) -> bool:
    """True if the process exists and has not ended. One that ended and waits for its parent has ended. Linux only."""
    return _state(Path(f"/proc/{pid}/stat")) not in ("", "Z", "X")


def _stands(pid: int) -> bool:
    """True if no thread of the process runs, be it stopped or ended. True at once where /proc tells nothing."""
    return all(_state(thread) in ("", "T", "Z", "X") for thread in Path(f"/proc/{pid}/task").glob("*/stat"))


def _state(stat: Path) -> str:
    """One letter, as proc(5) has them; empty if there is no such process or thread."""
    try:
        return stat.read_text().rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> tuple[int, ...]:
    """The ids of the processes that `pid` started and that still run. Linux only; empty elsewhere."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return tuple(int(child) for thread in threads for child in thread.read_text().split())
