"""Starts that are begun by one statement, on real Postgres under intake's own role: what cannot be begun stays as it
was, and several processes at once come to exact counts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.requests import SHOP, start
from tests.support.rows import pool_of, silent_teller, tables
from watchword.intake import store
from watchword.intake.answers import Accepted, Refused
from watchword.intake.at_once import AtOnce
from watchword.intake.desk import Desk, Faulty
from watchword.intake.limits import limits_of
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.request import Asker, Repeat, Start
from watchword.intake.settings import IntakeSettings
from watchword.intake.subjects import Subjects
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.metrics import Metrics
from watchword.runtime.postgres import Pool

PROCESSES = 3
TABLES = ("verifications", "latest_verifications", "limits", "subjects", "idempotency", "outbox")


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def pools(stand: Pipeline) -> AsyncIterator[list[Pool]]:
    """One for each process."""
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(pool_of("intake", stand.dsn)) for _ in range(PROCESSES)]


async def at_once(stand: Pipeline, pool: Pool) -> AtOnce:
    clock = DatabaseClock(pool)
    await clock.refresh()
    return AtOnce(
        pool=pool,
        clock=clock,
        subjects=Subjects(stand.keys),
        teller=silent_teller("intake", pool),
        metrics=IntakeMetrics(Metrics()),
    )


@pytest_asyncio.fixture
async def begins(stand: Pipeline, pools: list[Pool]) -> AtOnce:
    return await at_once(stand, pools[0])


@pytest_asyncio.fixture
async def desks(stand: Pipeline, pools: list[Pool]) -> AsyncIterator[list[Desk]]:
    made = [
        Desk(
            IntakeSettings.load(),
            pool=pool,
            clock=DatabaseClock(pool),
            keyring=stand.keys,
            teller=silent_teller("intake", pool),
            metrics=IntakeMetrics(Metrics()),
        )
        for pool in pools
    ]
    for desk in made:
        await desk.start()
    yield made
    for desk in made:
        await desk.stop()


async def everything(stand: Pipeline) -> dict[str, list[Any]]:
    return {table: sorted(map(str, await stand.connection.fetch(f"SELECT * FROM {table}"))) for table in TABLES}


async def count(stand: Pipeline, table: str) -> int:
    return int(await stand.connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_start_is_begun_with_everything_that_belongs_to_it(stand: Pipeline, begins: AtOnce) -> None:
    request = start(asker=Asker(SHOP, Repeat("http:k", b"same")))
    [answer] = await begins.begin([request])
    assert isinstance(answer, Accepted) and answer.status == 202
    row = await stand.connection.fetchrow("SELECT * FROM verifications")
    assert row is not None and (row["id"], row["state"], row["seq"]) == (request.verification_id, "requested", 1)
    assert await stand.connection.fetchval("SELECT verification_id FROM latest_verifications") == row["id"]
    assert await stand.connection.fetchval("SELECT answer FROM idempotency WHERE status = 202") == answer.body
    assert [await count(stand, table) for table in ("subjects", "outbox", "limits")] == [1, 1, 5]


async def test_an_answer_says_what_its_tenants_bucket_held_after_it(begins: AtOnce) -> None:
    asker = Asker(replace(SHOP, requests_per_second=1, requests_burst=20))
    answers = await begins.begin([start(f"+91987654321{last}", asker=asker) for last in range(4)])
    rooms = [each.room for each in answers if isinstance(each, Accepted)]
    assert [room.remaining for room in rooms if room is not None] == [19, 18, 17, 16]


async def test_what_cannot_be_begun_is_left_as_it_was_beside_what_can(stand: Pipeline, begins: AtOnce) -> None:
    known = Asker(SHOP, Repeat("http:known", b"same"))
    assert None not in await begins.begin([start("+919876543210"), start("+919876543211", asker=known)])
    live, answered = start("+919876543210"), start("+919876543212", asker=known)
    before = await everything(stand)
    assert await begins.begin([live, answered]) == [None, None]
    assert await everything(stand) == before
    left, begun = await begins.begin([live, start("+919876543213")])
    assert left is None and begun is not None
    assert await count(stand, "verifications") == 3


async def test_of_two_starts_of_one_number_in_a_batch_the_first_is_begun(stand: Pipeline, begins: AtOnce) -> None:
    first, second = await begins.begin([start(), start()])
    assert first is not None and second is None
    assert await count(stand, "verifications") == 1


async def test_a_batch_that_a_bucket_is_too_small_for_takes_nothing(stand: Pipeline, begins: AtOnce) -> None:
    asker = Asker(replace(SHOP, requests_per_second=1, requests_burst=2))
    before = await everything(stand)
    assert await begins.begin([start(f"+91987654321{last}", asker=asker) for last in range(3)]) == [None] * 3
    assert await everything(stand) == before


async def test_a_number_that_comes_back_is_sealed_under_the_key_it_has(
    stand: Pipeline, begins: AtOnce, pools: list[Pool]
) -> None:
    assert None not in await begins.begin([start()])
    await stand.connection.execute("UPDATE verifications SET state = 'expired', ended_at = clock_timestamp()")
    again = start()
    assert None not in await begins.begin([again])
    async with pools[0].acquire() as connection, connection.transaction():
        [found] = await store.hold(connection, [start()], Subjects(stand.keys).shown)
        row = await store.read(connection, again.verification_id, "shop")
    assert found.standing is not None and row is not None
    assert Subjects(stand.keys).shown(row) == "+91••••••3210"
    assert await count(stand, "subjects") == 1


async def known(stand: Pipeline, request: Start, wrapped_key: bytes) -> None:
    """A number that was asked about before, and how its data key was wrapped then."""
    await stand.connection.execute(
        "INSERT INTO subjects (tenant, number_token, wrapped_key) VALUES ('shop', $1, $2)",
        request.number_token, wrapped_key,
    )  # fmt: skip


async def test_a_number_whose_key_does_not_open_costs_nobody_else_his_answer(
    stand: Pipeline, desks: list[Desk]
) -> None:
    """The others were begun, and heard "cooldown" of the code that was on its way to them."""
    broken, others = start("+919876543210"), [start(f"+91987654321{n}") for n in range(1, 4)]
    await known(stand, broken, b"under a key that is lost")
    replies = await asyncio.gather(
        *(desks[0].ask(each) for each in (others[0], broken, *others[1:])), return_exceptions=True
    )
    assert [type(each) for each in replies] == [Accepted, Faulty, Accepted, Accepted]
    assert await count(stand, "verifications") == 3


AWAY_FOR_ONE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'shutting down' USING ERRCODE = 'cannot_connect_now';
END $$;
CREATE TRIGGER refuses BEFORE INSERT ON verifications FOR EACH ROW WHEN (NEW.number_token = '%s')
    EXECUTE FUNCTION refuse();
"""


async def test_what_one_try_committed_stays_said_if_the_server_goes_away_in_the_next(
    stand: Pipeline, begins: AtOnce
) -> None:
    fresh, back = start("+919876543211"), start("+919876543210")
    _, wrapped = Subjects(stand.keys).fresh(("shop", back.number_token))
    await known(stand, back, wrapped)
    await stand.connection.execute(AWAY_FOR_ONE % back.number_token)
    answered, unknown = await begins.begin([fresh, back])
    assert isinstance(answered, Accepted)
    assert isinstance(unknown, asyncpg.CannotConnectNowError)
    assert await count(stand, "verifications") == 1


@pytest.mark.parametrize("shared", ["number", "key"])
async def test_of_many_processes_one_begins_what_all_of_them_ask(
    stand: Pipeline, pools: list[Pool], shared: str
) -> None:
    def asked(index: int) -> Start:
        if shared == "number":
            return start()
        return start(f"+9198765432{index:02}", asker=Asker(SHOP, Repeat("http:k", b"same")))

    each = [await at_once(stand, pools[index % PROCESSES]) for index in range(12)]
    answers = await asyncio.gather(*(one.begin([asked(index)]) for index, one in enumerate(each)))
    assert sum(answer is not None for [answer] in answers) == 1
    assert [await count(stand, table) for table in ("verifications", "outbox", "limits")] == [1, 1, 5]


async def test_64_starts_at_once_over_three_processes_get_exactly_what_the_bucket_holds(
    stand: Pipeline, desks: list[Desk]
) -> None:
    tenant = replace(SHOP, requests_per_second=1, requests_burst=20)
    [limit, *_] = limits_of(tenant, start().rules, country="IN", range_="+91", number_token="t")
    requests = [start(f"+9198765432{number:02}", asker=Asker(tenant)) for number in range(64)]
    began = await stand.connection.fetchval("SELECT clock_timestamp()")
    replies = await asyncio.gather(*(desks[number % PROCESSES].ask(each) for number, each in enumerate(requests)))
    passed_s = (await stand.connection.fetchval("SELECT clock_timestamp()") - began).total_seconds()
    outcomes = Counter(each.code if isinstance(each, Refused) else each.status for each in replies)
    assert outcomes[202] + outcomes["rate_limited"] == 64
    assert 20 <= outcomes[202] <= 20 + passed_s * limit.rate.count
    assert await count(stand, "verifications") == outcomes[202]


async def test_a_key_that_is_held_elsewhere_is_told_as_in_progress(stand: Pipeline, desks: list[Desk]) -> None:
    request = start(asker=Asker(SHOP, Repeat("http:k", b"same")))
    async with stand.connection.transaction():
        await stand.connection.execute("INSERT INTO idempotency VALUES ('shop', 'http:k', '', 0, '')")
        began_s = asyncio.get_running_loop().time()
        reply = await desks[0].ask(request)
        assert asyncio.get_running_loop().time() - began_s < 4.5
    assert isinstance(reply, Refused) and reply.code == "idempotency_in_progress"
