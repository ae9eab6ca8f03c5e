"""Where Apache Kafka's jars and Java come from: Maven once, a cache outside the tree ever after."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from watchword.local.process import LocalServerError

KAFKA_VERSION = "4.3.1"
_JAVA_MAJOR_MIN = 17
_JAVA_ANSWERS_WITHIN_S = 20.0
_FETCH_WITHIN_S = 300.0
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that can run Kafka: its executable and its full version, such as `17.0.15`."""

    path: str
    version: str


def cache() -> Path:
    """The directory for what may be fetched again at any time (XDG base directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchword"


def find_java() -> Java | None:
    """The `java` on the path if it is new enough for Kafka 4, else None."""
    path = shutil.which("java")
    if path is None:
        return None
    answer = subprocess.run((path, "-version"), capture_output=True, text=True, timeout=_JAVA_ANSWERS_WITHIN_S)
    version = re.search(r'version "((\d+)[^"]*)"', answer.stderr)
    if version is None or int(version[2]) < _JAVA_MAJOR_MIN:
        return None
    return Java(path, version[1])


def obtainable() -> bool:
    """True if the jars are here, or Maven is here to fetch them."""
    return _home().is_dir() or shutil.which("mvn") is not None


def jars() -> Path:
    """The directory with Kafka's jars, fetched on first use: about 45 MB, some seconds.

    Two processes may ask at once: each fetches into a directory of its own, and the first to finish gives the
    directory its name. Raises LocalServerError with Maven's last words if the fetch fails.
    """
    home = _home()
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=home.parent) as scratch:
        _adopt(_fetch(Path(scratch)), home)
    return home


def class_archive(java: Java) -> Path:
    """Where Java keeps Kafka's classes ready-made for faster starts. Belongs to one Java and one Kafka.

    It lies beside the jars, not among them: Java refuses an archive whose class path has changed.
    """
    return _home().with_name(f"kafka-{KAFKA_VERSION}-java-{java.version}.jsa")


def _home() -> Path:
    return cache() / f"kafka-{KAFKA_VERSION}"


def _fetch(scratch: Path) -> Path:
    pom, fetched = scratch / "pom.xml", scratch / "jars"
    pom.write_bytes(resources.files("watchword.local").joinpath("kafka-pom.xml").read_bytes())
    command = ("mvn", "-q", "-B", "-C", "-f", str(pom), "dependency:copy-dependencies")
    options = (f"-DoutputDirectory={fetched}", "-DincludeScope=runtime")
    try:
        outcome = subprocess.run(
            (*command, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCH_WITHIN_S,
        )
    except subprocess.TimeoutExpired as late:
        raise _fetch_failed(f"no end after {_FETCH_WITHIN_S:g} s") from late
    if outcome.returncode != 0:
        raise _fetch_failed("\n  ".join(outcome.stdout.splitlines()[-_TAIL_LINES:]))
    return fetched


def _fetch_failed(reason: str) -> LocalServerError:
    return LocalServerError(
        f"Maven could not fetch Apache Kafka {KAFKA_VERSION}. Look at the network and at Maven's settings, "
        f"or use `--kafka wheel`.\n  {reason}"
    )


def _adopt(fetched: Path, home: Path) -> None:
    try:
        fetched.rename(home)
    except OSError:
        if not home.is_dir():
            raise
