"""Nothing tells a code or a phone number to whoever may not know it: not a topic, a log, a metric, a row, a process.

The canaries are users whose codes have ten digits, which do not turn up by chance. What the phones show is all that
was ever issued; it is searched for everywhere else.
"""

import asyncio
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import orjson
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.carrier import CODE
from tests.support.platform import Platform, Verified, fresh_number
from tests.support.records import ALL, everything_on, publish
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local.process import children
from watchword.local.stack import Stack

OWN = "7301649285"
WRONG = "9182736450"
CLEAR = "5550199377"
NEVER_IN_CLEAR = [each for each in ALL if not each.startswith(topics.INBOX)]
# Carriers and phones are not ours: the simulator knows every number and every text.
NOT_OURS = ("simulator",)


@pytest_asyncio.fixture(scope="module")
async def canaries(stack: Stack, platform: Platform) -> dict[str, bytes]:
    """What must be nowhere: numbers, as E.164 and as digits, and codes, each by a name that may be shown."""
    ways = [await platform.verify(fresh_number(), policy="long") for _ in range(3)]
    ways.append(await platform.verify(fresh_number(), policy="long", code=OWN))
    assert [way.result for way in ways] == ["approved"] * 4
    live = await waiting(platform)
    told = await platform.check(live.id, WRONG)
    assert told.body["result"] == "wrong"
    await publish_one_with_a_code(stack)
    await everything_told(stack)
    found = {f"number {index}": way.number.removeprefix("+").encode() for index, way in enumerate((*ways, live))}
    found |= {"own code": OWN.encode(), "guess": WRONG.encode(), "published code": CLEAR.encode()}
    for index, way in enumerate((*ways, live)):
        code = CODE.search((await platform.carriers.inbox(way.number))[-1].text)
        assert code is not None and len(code[0]) == 10
        found[f"code {index}"] = code[0].encode()
    return found


async def everything_told(stack: Stack) -> None:
    """Wait until every event so far is on Kafka."""

    async def empty() -> bool:
        return bool((await stacks.rows(stack, "SELECT count(*) AS rows FROM outbox"))[0]["rows"] == 0)

    await eventually(empty, within_s=20, what="an empty outbox")


async def waiting(platform: Platform) -> Verified:
    """A user whose code is still good: it must be nowhere now of all times."""
    number = fresh_number()
    identity = await platform.started(number, policy="long", reference="canary", binding={"payee": "shop"})
    await platform.carriers.wait_for_code(number)
    return Verified(number, identity)


async def publish_one_with_a_code(stack: Stack) -> None:
    """A publisher's mistake: a code in clear, which the dead topic must not keep."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "canary-with-code",
        "ce_source": "/demo/shop",
        "ce_type": "otp.verification-submitted.v1",
    }
    value = orjson.dumps({"to": fresh_number(), "code": CLEAR})
    await publish(stack.cluster, topics.INBOX, value, headers)

    async def buried() -> bool:
        letters = await everything_on(stack.cluster, [topics.dead(topics.INBOX)])
        return any(b"canary-with-code" in dict(each.headers).values() for each in letters)

    await eventually(buried, within_s=10, what="the record's dead letter")


def hits(canaries: dict[str, bytes], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where which canary was found. The canary itself is not told."""
    return [f"{name} in {where}" for where, text in texts for name, canary in canaries.items() if canary in text]


async def test_no_topic_holds_a_number_or_a_code(stack: Stack, canaries: dict[str, bytes]) -> None:
    records = await everything_on(stack.cluster, NEVER_IN_CLEAR)
    assert len(records) > 30
    texts = ((each.topic, b" ".join(_bytes_of(each))) for each in records)
    assert hits(canaries, texts) == []


def _bytes_of(record: object) -> list[bytes]:
    key, value, headers = (getattr(record, name) for name in ("key", "value", "headers"))
    return [key or b"", value or b"", *(name.encode() + b"=" + (text or b"") for name, text in headers)]


async def test_the_inbox_and_its_dead_letters_hold_no_code_that_we_issued(
    stack: Stack, canaries: dict[str, bytes]
) -> None:
    """The publisher's own topic holds what publishers write; what is ours does not come there."""
    letters = await everything_on(stack.cluster, [topics.dead(topics.INBOX)])
    codes = {name: canary for name, canary in canaries.items() if not name.startswith("number")}
    assert hits(codes, ((each.topic, b" ".join(_bytes_of(each))) for each in letters)) == []


def test_no_log_holds_a_number_or_a_code(stack: Stack, canaries: dict[str, bytes]) -> None:
    """Ours, and those of the broker and the database; below their `data` lie topics and tables, not logs."""
    written = (*stack.plan.directory.glob("*.log"), *stack.plan.directory.glob("*/*.log"))
    logs = [file for file in written if file.stem not in NOT_OURS]
    assert len(logs) >= len(stack.children)
    assert hits(canaries, ((file.name, file.read_bytes()) for file in logs)) == []


def test_no_metric_holds_a_number_or_a_code(stack: Stack, canaries: dict[str, bytes]) -> None:
    texts = []
    for name, child in stack.children.items():
        with urllib.request.urlopen(f"http://127.0.0.1:{child.ops_port}/metrics", timeout=5) as answer:
            texts.append((name, answer.read()))
    assert all(b"watchword_" in text for _, text in texts)
    assert hits(canaries, texts) == []


async def test_no_row_holds_a_number_or_a_code(stack: Stack, canaries: dict[str, bytes]) -> None:
    """Every column of every table, binary ones as the bytes they hold."""
    connection = await asyncpg.connect(stack.dsn, timeout=10)
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        texts = []
        for table in tables:
            rows = await connection.fetch(f'SELECT * FROM "{table["table_name"]}"')
            told = b"\n".join(_column(value) for row in rows for value in row.values())
            texts.append((str(table["table_name"]), told))
    finally:
        await connection.close(timeout=10)
    assert {"verifications", "codes", "attempts", "idempotency", "limits"} <= {name for name, _ in texts}
    assert hits(canaries, texts) == []


def _column(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


async def test_no_process_shows_a_number_a_code_or_a_key(stack: Stack, canaries: dict[str, bytes]) -> None:
    keys = orjson.loads((stack.plan.directory / "keyring.json").read_bytes())["keys"]
    secrets = {f"{key['purpose']} key": key["secret"].encode() for key in keys} | {"API key": stack.api_key.encode()}
    pids = [child.process.pid for child in stack.children.values()]
    pids += [grandchild for pid in pids for grandchild in children(pid)]
    texts = [
        (f"{file} of {pid}", await asyncio.to_thread(Path(f"/proc/{pid}/{file}").read_bytes))
        for pid in pids
        for file in ("cmdline", "environ")
    ]
    assert all(text for _, text in texts)
    assert hits(canaries | secrets, texts) == []


async def test_no_answer_of_the_public_api_holds_a_number_or_a_code(
    stack: Stack, platform: Platform, canaries: dict[str, bytes]
) -> None:
    rows = await stacks.rows(stack, "SELECT id::text FROM verifications WHERE policy = 'long'")
    texts = [(str(row["id"]), orjson.dumps(await platform.read(row["id"]))) for row in rows]
    assert len(texts) == 5
    assert hits(canaries, texts) == []
