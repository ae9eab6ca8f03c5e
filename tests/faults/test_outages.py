"""Kafka dies, Postgres dies, both die, under load: what was accepted is kept, what cannot be kept is refused, and when
they are back everything drains without a restart of any worker (guarantees.md, sections 2 and 3).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.generator import Generator, Load, Told, generator
from tests.support.platform import Platform, fresh_number
from tests.support.records import DEAD, everything_on
from tests.support.waiting import eventually
from watchword.local.stack import Stack

PUBLIC = "intake,checks"
USERS = 100
RATE_PER_S = 25.0
DURING = 5
BACKLOG_MAX_S = 1.0
# Mostly five seconds. A broker, its groups, and a claim that nobody holds any more come back one after the other.
BACK_WITHIN_S = 75.0

# Each load has numbers of its own, far from those that the other users have.
_FIRST_NUMBERS = count(918_100_000_000, 100_000_000)

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module")
async def users(stack: Stack) -> AsyncIterator[Generator]:
    async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as made:
        yield made


@contextmanager
def without_a_restart(stack: Stack) -> Iterator[None]:
    """Fails if any worker was started again meanwhile."""
    before = {name: child.process.pid for name, child in stack.children.items()}
    yield
    assert {name: child.process.pid for name, child in stack.children.items()} == before
    assert [name for name, child in stack.children.items() if child.process.exit_code is not None] == []


async def under_load(stack: Stack, users: Generator) -> "asyncio.Task[list[Told]]":
    """Users that keep coming; answers once a quarter of them are there."""
    [before] = await stacks.rows(stack, "SELECT count(*) AS verifications FROM verifications")
    load = Load(count=USERS, rate_per_s=RATE_PER_S, first_number=next(_FIRST_NUMBERS))
    task = asyncio.create_task(users.run(load))

    async def coming() -> bool:
        [now] = await stacks.rows(stack, "SELECT count(*) AS verifications FROM verifications")
        return bool(now["verifications"] - before["verifications"] >= USERS // 4)

    await eventually(coming, within_s=20, what="the first users")
    return task


async def outbox_rows(stack: Stack) -> int:
    """How many events Kafka does not have."""
    return int((await stacks.rows(stack, "SELECT count(*) AS rows FROM outbox"))[0]["rows"])


@pytest_asyncio.fixture(scope="module")
async def given_up(stack: Stack) -> int:
    """How many dead letters there were before."""
    return len(await everything_on(stack.cluster, DEAD))


async def assert_all_verified(stack: Stack, platform: Platform, told: list[Told], given_up: int) -> None:
    """Everybody is approved with one message, nothing is left to do, and nothing was given up as poison.

    Whose approval was committed when its answer was lost hears `used` when asking again.
    """
    await stacks.at_rest(stack, within_s=BACK_WITHIN_S)
    assert [each for each in told if each.result != "approved" and not (each.result == "used" and each.problems)] == []
    assert {problem for each in told for problem in each.problems} <= {"503", "TimeoutError"}
    assert len(await everything_on(stack.cluster, DEAD)) == given_up
    inboxes = [len(await platform.carriers.inbox(each.number)) for each in told]
    assert inboxes == [1] * len(told), "one verification, one message"
    assert set((await platform.carriers.ledger()).values()) == {1}, "one client_ref, one message"


async def in_thread(*acts: Callable[[], None]) -> None:
    """Do these at once, none of them in the event loop."""
    await asyncio.gather(*(asyncio.to_thread(act) for act in acts))


async def refused(platform: Platform) -> bool:
    """Whether a start is answered as the API says for a service that is away, and not in any other way."""
    told = await platform.start(fresh_number(), policy="load")
    if told.status == 202:
        return False
    assert told.status == 503, told
    assert told.headers["Content-Type"].startswith("application/problem+json")
    assert int(told.headers["Retry-After"]) >= 1 and told.body["retry_after_s"] >= 1
    return True


@pytest.mark.slow
async def test_kafka_dies_under_load_and_every_request_is_accepted_and_verified_afterwards(
    stack: Stack, platform: Platform, users: Generator, given_up: int
) -> None:
    with without_a_restart(stack):
        load = await under_load(stack, users)
        await in_thread(stack.broker.kill)
        during = [await platform.start(fresh_number(), policy="load") for _ in range(DURING)]
        assert [told.status for told in during] == [202] * DURING
        assert await outbox_rows(stack) >= DURING, "what was accepted waits in Postgres"
        await in_thread(stack.broker.restart)
        told = await load
        await assert_all_verified(stack, platform, told, given_up)
    assert [each.problems for each in told if each.problems] == [], "nobody was refused or cut off"
    for each in during:
        attempts = (await platform.read(each.body["id"]))["attempts"]
        assert [attempt["state"] for attempt in attempts] == ["accepted"]


@pytest.mark.slow
async def test_postgres_dies_under_load_and_nothing_is_approved_until_it_is_back(
    stack: Stack, platform: Platform, users: Generator, given_up: int
) -> None:
    waiting = await platform.started(number := fresh_number(), policy="load")
    code = await platform.carriers.wait_for_code(number)
    with without_a_restart(stack):
        load = await under_load(stack, users)
        await in_thread(stack.database.kill)
        assert await refused(platform)
        told = await platform.check(waiting, code)
        assert (told.status, told.code) == (503, "unavailable"), "no answer, and so no approval"
        assert told.headers["Content-Type"].startswith("application/problem+json")
        await in_thread(stack.database.restart)
        await assert_all_verified(stack, platform, await load, given_up)
    assert (await platform.check(waiting, code)).body["result"] == "approved"


async def test_both_die_under_load_and_everything_drains(
    stack: Stack, platform: Platform, users: Generator, given_up: int
) -> None:
    """Kafka a moment before Postgres: what only Postgres has is still there when it is back."""
    with without_a_restart(stack):
        load = await under_load(stack, users)
        await in_thread(stack.broker.kill)
        first = await platform.started(number := fresh_number(), policy="load")
        await in_thread(stack.database.kill)
        assert await refused(platform)
        await in_thread(stack.database.restart)
        assert await outbox_rows(stack) >= 1
        await in_thread(stack.broker.restart)
        await assert_all_verified(stack, platform, await load, given_up)
        code = await platform.carriers.wait_for_code(number)
        assert (await platform.check(first, code)).body["result"] == "approved"


async def test_what_would_come_too_late_is_not_begun(stack: Stack, platform: Platform) -> None:
    """Kafka is away for longer than a code may wait: starts are refused, and taken again once it has caught up."""
    await asyncio.to_thread(stack.restart, PUBLIC, WATCHWORD_INTAKE_BACKLOG_MAX_S=str(BACKLOG_MAX_S))
    await asyncio.to_thread(stack.await_ready, PUBLIC)
    with without_a_restart(stack):
        await in_thread(stack.broker.kill)
        first = await platform.started(number := fresh_number(), policy="load")

        async def refuses() -> bool:
            return await refused(platform)

        await eventually(refuses, within_s=15, what="a start to be refused")
        await in_thread(stack.broker.restart)

        async def accepts() -> bool:
            return not await refused(platform)

        await eventually(accepts, within_s=30, what="a start to be accepted again")
        code = await platform.carriers.wait_for_code(number, within_s=BACK_WITHIN_S)
        assert (await platform.check(first, code)).body["result"] == "approved"
        await stacks.at_rest(stack, within_s=BACK_WITHIN_S)
