"""After all attacks: not a number, not a code and not a guess of theirs is anywhere it may not be, in any spelling.

The last file of the folder, so that everything is searched for that any attack used. Codes have ten digits, which do
not turn up by chance. Where a number may stand, in clear or masked, is told by the table in README.md. The stories
have their own: tests/journeys/test_nothing_leaks.py.
"""

import asyncio
import re
import stat
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from tests.attacks.adapter import other_than
from tests.attacks.conftest import Aims
from tests.journeys.test_nothing_leaks import NOT_OURS, everything_told
from tests.support.platform import fresh_number
from tests.support.receiver import Receiver
from tests.support.records import ALL, DEAD, everything_on
from tests.support.spellings import SPELLINGS, found, found_plainly
from tests.support.waiting import eventually
from watchword.local.process import children
from watchword.local.stack import Stack

pytestmark = [pytest.mark.attack, pytest.mark.timeout(600)]
NUMBER = re.compile(r"\+91([0-9]{10})")
LONG = re.compile(r"[0-9]{10}")
MASKED = re.compile("\\+91(?:•|\\\\u2022){6}[0-9]{4}".encode())
OWN = "8263917405"
MARKER = b"6172839405"
"""What the platform calls one of its verifications: ten digits, which are found wherever the search gets to."""

Texts = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Left:
    """Everything there is to search, and what for."""

    stack: Stack
    hooks: Receiver
    answers: list[bytes]
    canaries: frozenset[bytes]


@pytest_asyncio.fixture(scope="module")
async def left(stack: Stack, aims: Aims, hooks: Receiver) -> Left:
    """Every number, code and guess of the attacks so far, and one of each that is live now of all times."""
    target = aims.prey
    identity, code = await target.issued(
        fresh_number(), code=OWN, policy="open", reference=MARKER.decode(), repeat="left"
    )
    assert code == OWN
    await target.check(identity, other_than(code))
    ended, code = await target.issued(fresh_number(), policy="open", reference=MARKER.decode())
    assert (await target.check(ended, code)).word == "approved"

    async def called_back() -> bool:
        return any(MARKER in call.body for call in hooks.calls)

    await eventually(called_back, within_s=20, what="the platform to be called back")
    await target.status(ended)
    await everything_told(stack)
    traces = target.traces
    numbers = {match[1] for number in traces.numbers if (match := NUMBER.fullmatch(number))}
    digits = {each for each in traces.codes | traces.guesses if LONG.fullmatch(each)}
    assert numbers and digits
    canaries = frozenset(each.encode() for each in numbers | digits)
    assert MARKER not in canaries
    return Left(stack, hooks, list(traces.answers), canaries)


# Where it is looked ----------------------------------------------------------------------------------------------


async def topics(left: Left) -> Texts:
    """Whatever is on the broker: ours and dead ones, the judge's changelog with what it knows of each node, and the
    results of tenants on topics of their own."""
    admin = AIOKafkaAdminClient(**left.stack.cluster.options())
    await admin.start()
    try:
        names = [each for each in await admin.list_topics() if not each.startswith("__")]
    finally:
        await admin.close()
    assert set(ALL) <= set(names) and set(DEAD) < set(ALL)
    assert {"results.prey", "judge-nodes-changelog"} <= set(names), names
    records = await everything_on(left.stack.cluster, names)
    assert {"results.prey", "judge-nodes-changelog"} <= {each.topic for each in records}
    return [(each.topic, _bytes_of(each)) for each in records]


def _bytes_of(record: object) -> bytes:
    key, value, headers = (getattr(record, name) for name in ("key", "value", "headers"))
    return b" ".join([key or b"", value or b"", *(name.encode() + b"=" + (text or b"") for name, text in headers)])


async def webhooks(left: Left) -> Texts:
    """What the platform was called with: path, headers, body."""
    return [
        (f"call {number}", b"\n".join([call.path.encode(), orjson.dumps(dict(call.headers)), call.body]))
        for number, call in enumerate(left.hooks.calls)
    ]


async def answers(left: Left) -> Texts:
    """Every body that was ever answered."""
    assert len(left.answers) > 2
    return [(f"answer {number}", each) for number, each in enumerate(left.answers)]


async def tables(left: Left) -> Texts:
    """As a backup would have them: every table in COPY's text, where bytes are hexadecimal."""
    connection = await asyncpg.connect(left.stack.dsn, timeout=10)
    dump: dict[str, bytes] = {}
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in names:
            parts: list[bytes] = []
            await connection.copy_from_query(f'SELECT * FROM "{table}"', output=_into(parts))
            dump[table] = b"".join(parts)
    finally:
        await connection.close(timeout=10)
    assert any(table.startswith("verifications") and text for table, text in dump.items())
    return list(dump.items())


def _into(parts: list[bytes]) -> Callable[[bytes], Coroutine[Any, Any, None]]:
    async def take(part: bytes) -> None:
        parts.append(part)

    return take


async def logs(left: Left) -> Texts:
    """Ours, and those of the broker and the database."""
    directory = left.stack.plan.directory
    files = [each for each in (*directory.glob("*.log"), *directory.glob("*/*.log")) if each.stem not in NOT_OURS]
    assert len(files) >= len(left.stack.children)
    return [(file.name, file.read_bytes()) for file in files]


async def metrics(left: Left) -> Texts:
    """What a scrape sees of every process."""

    def scraped(port: int) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return bytes(answer.read())

    ports = {name: child.ops_port for name, child in left.stack.children.items()}
    return [(name, await asyncio.to_thread(scraped, port)) for name, port in ports.items()]


def _processes(left: Left) -> list[int]:
    ours = [child.process.pid for child in left.stack.children.values()]
    return ours + [grandchild for pid in ours for grandchild in children(pid)]


async def processes(left: Left) -> Texts:
    """What the machine shows of every process: its command line and its environment."""
    return [
        (f"{file} of {pid}", await asyncio.to_thread(Path(f"/proc/{pid}/{file}").read_bytes))
        for pid in _processes(left)
        for file in ("cmdline", "environ")
    ]


async def open_files(left: Left) -> Texts:
    """Every regular file that a process of ours has open, one that was deleted meanwhile too."""
    return [
        (f"{link} of {pid}", link.read_bytes())
        for pid in _processes(left)
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if _is_regular(link) and not _is_code(link)
    ]


def _is_regular(link: Path) -> bool:
    try:
        return stat.S_ISREG(link.stat().st_mode)
    except OSError:  # closed meanwhile
        return False


def _is_code(link: Path) -> bool:
    return link.readlink().suffix in (".so", ".py", ".pyc", ".bin")


PLACES: dict[str, Callable[[Left], Awaitable[Texts]]] = {
    each.__name__: each
    for each in (topics, webhooks, answers, tables, logs, metrics, processes, open_files)
}  # fmt: skip
# Where the platform's own word for its verification stands, and a thing that is always found in each of the others.
TOLD = {"topics", "webhooks", "answers", "tables"}
ALWAYS = {"logs": b"ready", "metrics": b"watchword_", "processes": b"python", "open_files": b"ready"}


def hits(canaries: frozenset[bytes], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where something was found; what it is is not told."""
    return sorted({where for where, text in texts if found(canaries, text)})


# What is found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
async def test_no_place_holds_a_number_a_code_or_a_guess_in_any_spelling(left: Left, place: str) -> None:
    texts = await PLACES[place](left)
    assert texts
    assert await asyncio.to_thread(hits, left.canaries, texts) == []


@pytest.mark.parametrize("place", PLACES)
async def test_the_search_would_find_one_in_every_place(left: Left, place: str) -> None:
    """What is known to stand there is found; and so is a canary beside it, in every spelling."""
    texts = await PLACES[place](left)
    if place in TOLD:
        assert hits(frozenset({MARKER}), texts) != []
    else:
        assert any(ALWAYS[place] in text for _, text in texts)
    one = next(iter(left.canaries))
    where, text = max(texts, key=lambda each: len(each[1]) if len(each[1]) < 50_000 else 0)
    lost = [name for name, spell in SPELLINGS.items() if not found(left.canaries, text + b" " + spell(one) + b" ")]
    assert lost == [], where


async def test_a_planted_record_is_found_wherever_records_lie(left: Left) -> None:
    """The judge's changelog and the tenant's results are read to their ends: what is known of each is found there."""
    texts = await topics(left)
    by_topic = {name: b"".join(text for topic, text in texts if topic == name) for name, _ in texts}
    assert MARKER in by_topic["results.prey"]
    assert b"prey" in by_topic["judge-nodes-changelog"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_masked_number_is_told_to_the_platform_alone(left: Left, place: str) -> None:
    """The answers say which number it is, two digits and the last four; they are kept with their idempotency key, to be
    given again. Nobody else is told that much."""
    may = {"answers": {"answer"}, "tables": {"idempotency"}}.get(place, set())
    holding = {where.split(" ")[0] for where, text in await PLACES[place](left) if MASKED.search(_clear(text))}
    assert {re.sub(r"_p?\d.*", "", where) for where in holding} == may


def _clear(text: bytes) -> bytes:
    """What is hexadecimal in a dump, beside it as it reads."""
    parts = re.findall(rb"\\\\x([0-9a-f]+)", text)
    return b"\n".join([text, *(bytes.fromhex(part.decode()) for part in parts)])


async def test_nothing_on_the_disk_holds_one_and_no_process_leaves_its_memory_there(left: Left) -> None:
    """Topics and tables as they lie there, what a stack keeps beside them, and no core of whoever may have died. The
    simulated carriers know every number."""
    directory = left.stack.plan.directory
    files = [each for each in directory.rglob("*") if each.is_file() and _is_searched(each)]
    assert len(files) > 50
    search = partial(found_plainly, left.canaries)
    held = [str(each) for each in files if await asyncio.to_thread(search, await asyncio.to_thread(_read, each))]
    assert held == []
    assert [each for each in files if each.name.startswith("core")] == []
    limits = {pid: Path(f"/proc/{pid}/limits").read_text("ascii") for pid in _processes(left)}
    assert limits and all(re.search(r"Max core file size +0 +0 ", told) for told in limits.values())


def _is_searched(file: Path) -> bool:
    """Kafka's indexes are megabytes of nothing, and of offsets."""
    return file.stem not in NOT_OURS and file.suffix not in (".index", ".timeindex")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # Postgres and Kafka put their files away while we look
        return b""
