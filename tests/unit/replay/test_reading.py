"""Which part of a topic is read, and how far a reading is."""

import io
import re
import subprocess
import sys
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from typer.main import get_command
from uuid_utils import uuid7

from watchword.audit import commands as audit
from watchword.replay import commands as replay
from watchword.replay.progress import Progress
from watchword.replay.reading import Slice, _of_key

FORBIDDEN = ("watchword.gateways", "watchword.dispatch", "watchword.runtime.publishing", "watchword.runtime.outbox")


@pytest.mark.parametrize("partitions", [1, 4, 24, 48])
def test_key_is_looked_for_where_producers_put_it(partitions: int) -> None:
    numbers = list(range(partitions))
    for _ in range(50):
        key = str(uuid7())
        assert _of_key(key, numbers) == DefaultPartitioner()(key.encode(), numbers, numbers)


def test_slice_counts_what_lies_between_its_ends() -> None:
    assert [Slice("t", 0, 3, 10).count, Slice("t", 0, 10, 3).count] == [7, 0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_quick_reading_says_nothing() -> None:
    out = io.StringIO()
    progress = Progress([Slice("t", 0, 0, 10)], out=out)
    progress.told(10)
    progress.done()
    assert out.getvalue() == ""


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_long_reading_says_how_far_it_is(out: io.StringIO) -> None:
    progress = Progress([Slice("t", 0, 0, 100), Slice("t", 1, 0, 100)], out=out, quiet_s=0)
    progress.told(50)
    progress.told(150)
    progress.done()
    assert "read 50 of 200 records (25 %)" in out.getvalue()
    assert "read 200 of 200 records (100 %)" in out.getvalue()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (get_command(audit.app), audit.NARROWER),
        (get_command(replay.app).commands["fold"], replay.NARROWER),  # type: ignore[attr-defined]  # a group
    ],
    ids=["audit", "fold"],
)
def test_who_asks_for_too_much_is_told_of_options_that_there_are(command: Any, words: str) -> None:
    there = {name for parameter in command.params for name in parameter.opts}
    assert set(re.findall("--[a-z-]+", words)) <= there


@pytest.mark.parametrize("module", ["watchword.replay.commands", "watchword.audit.commands"])
def test_process_that_reads_has_neither_a_producer_nor_a_gateway(module: str) -> None:
    ask = f"import sys, {module}; print([name for name in sys.modules if name.startswith({FORBIDDEN!r})])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "[]\n"
