"""The command line as an operator types it, in a process of its own that is born warm: what it imports is the same."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from watchword.local import warm

ENDS_WITHIN_S = 60.0


def run(*words: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `watchword WORDS…` with this environment and no other, to its end."""
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory, "out"), Path(directory, "err")
        process = warm.begin(_life, words, dict(environment), out, err)
        try:
            code = process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), err.read_text("utf-8"))


def _life(words: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    warm.inherit_nothing()
    for path, number in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["watchword", *words]
    from watchword.__main__ import main

    main()
