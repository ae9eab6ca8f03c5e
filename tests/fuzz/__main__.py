"""Fuzzes each reader for a share of the time: `python -m tests.fuzz --minutes 5 [--target smpp-session]`.

What a target has learnt is kept in `.cache/fuzz/corpus/<target>` and begun with the next time. Exits 1 where an input
was found that a reader does not read as promised.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.targets import TARGETS, Target

HOME = Path(".cache/fuzz")
KEPT = Path("tests/fuzz/found")
REPLAY = ".venv/bin/pytest -q tests/laws/test_fuzzed_inputs.py"
INPUT_BYTES_MAX = 8_192
INPUT_TIMEOUT_S = 10
MEMORY_MIB_MAX = 2_048
STARTS_WITHIN_S = 300  # instrumenting the code, and playing what is in the corpus
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_ARTIFACT = re.compile(r"Test unit written to (\S*/(?:crash|timeout|oom|leak)-\S+)")  # a slow one is no finding
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one target. `edges` are those of our code that its inputs reach; `found` inputs are files."""

    executions: int
    edges: int
    corpus: int
    found: tuple[Path, ...]
    said: str


def main() -> int:
    """Run what was asked for, tell of each target, and exit 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this one")
    told = parser.parse_args()
    targets = [TARGETS[told.target]] if told.target else list(TARGETS.values())
    seconds = max(int(told.minutes * 60 / len(targets)), 1)
    say(f"{'target':<18} {'executions':>10} {'edges':>6} {'corpus':>6} {'found':>6}")
    found = [path for target in targets for path in _ran(target, seconds).found]
    for path in found:
        kept = KEPT / path.parent.name
        say(f"\nto make it a test: mkdir -p {kept} && cp {path} {kept}/what-a-user-saw && {REPLAY}")
    return 1 if found else 0


def say(line: str) -> None:
    """One line for whoever runs it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _ran(target: Target, seconds: int) -> Ran:
    ran = run(target, seconds)
    say(f"{target.name:<18} {ran.executions:>10,} {ran.edges:>6,} {ran.corpus:>6,} {len(ran.found):>6}")
    if ran.found:
        say(ran.said)
    return ran


def run(target: Target, seconds: int) -> Ran:
    """Fuzz one target in a process of its own, which ends with the first thing it finds. Raises RuntimeError where it
    ended for another reason."""
    corpus, found = HOME / "corpus" / target.name, HOME / "found" / target.name
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    command = [
        *(sys.executable, "-m", "tests.fuzz.one", target.name, f"-max_total_time={seconds}", "-print_final_stats=1"),
        *(f"-timeout={INPUT_TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MIB_MAX}", f"-max_len={INPUT_BYTES_MAX}"),
        *(f"-artifact_prefix={found}/", str(corpus)),
    ]
    # A target's own files: in memory where there is such a place, and gone however its process ended.
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as files:
        done = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": files},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + STARTS_WITHIN_S,
            check=False,
        )
    ran = read(done.stdout + done.stderr)
    if done.returncode and not ran.found:
        raise RuntimeError(f"{target.name} ended with {done.returncode}:\n{ran.said}")
    return ran


def read(said: str) -> Ran:
    """What the fuzzer printed."""
    last = (_COVERAGE.findall(said) or [("0", "0", "0")])[-1]
    runs = _RUNS.findall(said) or ["0"]
    artifacts = tuple(Path(path) for path in _ARTIFACT.findall(said))
    return Ran(int(runs[-1]), int(last[0]), int(last[2]), artifacts, _traceback(said))


def _traceback(said: str) -> str:
    start = said.find("=== Uncaught Python exception")
    return said[start:][:4_000].split("INFO: Instrumenting")[0] if start >= 0 else said[-2_000:]


if __name__ == "__main__":
    sys.exit(main())
