"""After all attacks: not a number, not a code and not a guess of theirs is anywhere it may not be.

The last file of the folder, so that everything is searched for that any attack used. Codes have ten digits, which do
not turn up by chance. The stories have their own: tests/journeys/test_nothing_leaks.py.
"""

import asyncio
import re
import urllib.request
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.attacks.adapter import other_than
from tests.attacks.conftest import Aims
from tests.journeys.test_nothing_leaks import NOT_OURS, everything_told
from tests.support.platform import fresh_number
from tests.support.records import ALL, DEAD, everything_on
from watchword.local.process import children
from watchword.local.stack import Stack

pytestmark = pytest.mark.attack
NUMBER = re.compile(r"\+91([0-9]{10})")
LONG = re.compile(r"[0-9]{10}")
OWN = "8263917405"


@pytest_asyncio.fixture(scope="module")
async def canaries(stack: Stack, aims: Aims) -> set[bytes]:
    """Every number, code and guess of the attacks so far, and one of each that is live now of all times."""
    target = aims.prey
    identity, code = await target.issued(fresh_number(), code=OWN, policy="open")
    assert code == OWN
    await target.check(identity, other_than(code))
    await everything_told(stack)
    traces = target.traces
    numbers = {found[1] for number in traces.numbers if (found := NUMBER.fullmatch(number))}
    digits = {each for each in traces.codes | traces.guesses if LONG.fullmatch(each)}
    assert numbers and digits
    return {each.encode() for each in numbers | digits}


def hits(canaries: set[bytes], texts: Iterable[tuple[str, bytes]], *, hexed: bool = False) -> list[str]:
    """Where something was found; what it is is not told. `hexed` looks for its bytes in hexadecimal too."""
    wanted = canaries | ({each.hex().encode() for each in canaries} if hexed else set())
    finder = re.compile(b"|".join(map(re.escape, sorted(wanted))))
    return [where for where, text in texts if finder.search(text)]


def test_the_search_would_find_them(canaries: set[bytes]) -> None:
    one = next(iter(canaries))
    assert hits(canaries, [("plain", b"x" + one), ("hex", one.hex().encode())], hexed=True) == ["plain", "hex"]


async def test_no_topic_and_no_dead_topic_holds_one(stack: Stack, canaries: set[bytes]) -> None:
    records = await everything_on(stack.cluster, ALL)
    assert records and set(DEAD) < set(ALL)
    assert hits(canaries, ((each.topic, _bytes_of(each)) for each in records)) == []


def _bytes_of(record: object) -> bytes:
    key, value, headers = (getattr(record, name) for name in ("key", "value", "headers"))
    return b" ".join([key or b"", value or b"", *(name.encode() + b"=" + (text or b"") for name, text in headers)])


def test_no_log_holds_one(stack: Stack, canaries: set[bytes]) -> None:
    written = (*stack.plan.directory.glob("*.log"), *stack.plan.directory.glob("*/*.log"))
    logs = [file for file in written if file.stem not in NOT_OURS]
    assert len(logs) >= len(stack.children)
    assert hits(canaries, ((file.name, file.read_bytes()) for file in logs)) == []


def test_no_metric_holds_one(stack: Stack, canaries: set[bytes]) -> None:
    pages = []
    for name, child in stack.children.items():
        with urllib.request.urlopen(f"http://127.0.0.1:{child.ops_port}/metrics", timeout=5) as answer:
            pages.append((name, answer.read()))
    assert hits(canaries, pages) == []


def test_no_answer_and_no_error_held_one(aims: Aims, canaries: set[bytes]) -> None:
    answers = aims.prey.traces.answers
    assert len(answers) > 2
    assert hits(canaries, ((f"answer {number}", each) for number, each in enumerate(answers))) == []


async def test_no_table_of_a_dump_holds_one(stack: Stack, canaries: set[bytes]) -> None:
    """As a backup would have it: every table in COPY's text, where bytes are hexadecimal."""
    connection = await asyncpg.connect(stack.dsn, timeout=10)
    dump: dict[str, bytes] = {}
    try:
        tables = await connection.fetch("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'")
        for _, table in tables:
            parts: list[bytes] = []
            await connection.copy_from_query(f'SELECT * FROM "{table}"', output=_into(parts))
            dump[table] = b"".join(parts)
    finally:
        await connection.close(timeout=10)
    assert any(table.startswith("verifications") and text for table, text in dump.items())
    assert hits(canaries, dump.items(), hexed=True) == []


def _into(parts: list[bytes]) -> Callable[[bytes], Coroutine[Any, Any, None]]:
    async def take(part: bytes) -> None:
        parts.append(part)

    return take


async def test_no_process_shows_one(stack: Stack, canaries: set[bytes]) -> None:
    pids = [child.process.pid for child in stack.children.values()]
    pids += [grandchild for pid in pids for grandchild in children(pid)]
    shown = [
        (f"{file} of {pid}", await asyncio.to_thread(Path(f"/proc/{pid}/{file}").read_bytes))
        for pid in pids
        for file in ("cmdline", "environ")
    ]
    assert all(text for _, text in shown)
    assert hits(canaries, shown) == []
