"""dispatch is killed while it holds a bind, a full window and receipts that came: everybody is verified all the same,
nobody gets more than the one message too many that a blind carrier may cost, and no receipt is lost."""

from asyncio import create_task, to_thread
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.deaths import KILLED, arm, reported
from tests.support.generator import Load, generator
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "smpp_stack.toml"
LOAD = Load(count=160, rate_per_s=20.0)
LONGER = replace(LOAD, count=240)
BACKLOG = 40
# Where the second process dies: before anybody is called, with a full window open, with answers that nobody wrote down.
# And how many are taken up again at least, so that it is the death of somebody's message: how much of the backlog is in
# hand by then depends on when the bind stands, and on how many partitions were read; results written down are nobody's.
MOMENTS = {
    "dispatch.claimed": 1,
    "dispatch.before_call": 1,
    "dispatch.called": 1,
    "dispatch.before_result": 1,
    "dispatch.result_committed": 0,
}
_FIRST_NUMBERS = count(918_200_000_000, 100_000_000)  # each load has numbers of its own
_TAKEN_UP_AGAIN = (
    "SELECT FROM attempts AS a WHERE a.verification_id = ANY($1::uuid[]) AND (a.recovery > 0 OR a.try_no > 1)"
)

pytestmark = [pytest.mark.slow, pytest.mark.apache, pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module")
async def stack(servers_directory: Path) -> AsyncIterator[Stack]:
    """One stack for every second death, each with users of its own."""
    plan = Plan(directory=servers_directory / "smpp-again", kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as running:
        yield running


async def test_a_killed_bind_loses_nobody(server_directory: Path) -> None:
    plan = Plan(directory=server_directory, kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as stack:
        async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
            load = create_task(platform.run(LOAD))
            await _under_way(stack)
            await stacks.killed(stack, "dispatch")
            told = await load
        await reported(stack, within_s=60)
        await stacks.at_rest(stack)
        query = "SELECT account, receipt_state, count(*) AS n FROM attempts WHERE state = 'accepted' GROUP BY 1, 2"
        told_of = {(row["account"], row["receipt_state"]): row["n"] for row in await stacks.rows(stack, query)}
        async with carriers_at(stack.simulator_url) as carriers:
            inboxes = [len(await carriers.inbox(each.number)) for each in told]
            counts = await carriers.receipts_of("alpha")
    assert [each for each in told if each.result != "approved"] == []
    assert set(inboxes) <= {1, 2}
    assert inboxes.count(1) >= LOAD.count * 0.9
    assert told_of["sm", "delivered"] >= 20
    assert [way for way in told_of if way[1] != "delivered"] == []
    assert (counts.pending, counts.given_up, counts.dropped) == (0, 0, 0)


@pytest.mark.parametrize("point", MOMENTS)
async def test_killed_again_with_the_backlog_of_the_first_death_in_hand_it_loses_nobody_either(
    stack: Stack, point: str
) -> None:
    """What waited while nobody sent is claimed at once by the next process. If that dies before it called anybody, all
    of it waits for its lease, 15 s; what a bind may have had waits 8 s more to be sent by another account."""
    load = replace(LONGER, first_number=next(_FIRST_NUMBERS))
    async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
        under_way = await _receipts(stack) + 5
        users = create_task(platform.run(load))
        await _under_way(stack, receipts=under_way)
        await to_thread(stack.kill, "dispatch")
        began = await _begun(stack)
        await _as_many(stack, began + BACKLOG)
        await to_thread(arm, stack, "dispatch", point)
        armed = stack.children["dispatch"].process
        told = await users
    await stacks.at_rest(stack, within_s=60)
    async with carriers_at(stack.simulator_url) as carriers:
        inboxes = [len(await carriers.inbox(each.number)) for each in told]
    assert armed.exit_code == KILLED
    assert [each for each in told if each.result != "approved"] == []
    assert set(inboxes) <= {1, 2}, "no more than the one message too many that a blind carrier may cost"
    again = await stacks.rows(stack, _TAKEN_UP_AGAIN, [each.id for each in told])
    assert len(again) >= MOMENTS[point]


async def _begun(stack: Stack) -> int:
    return int((await stacks.rows(stack, "SELECT count(*) AS n FROM verifications"))[0]["n"])


async def _as_many(stack: Stack, count: int) -> None:
    async def begun() -> bool:
        return await _begun(stack) >= count

    await eventually(begun, within_s=30, what=f"{count} verifications")


async def _receipts(stack: Stack) -> int:
    query = "SELECT count(*) AS n FROM attempts WHERE account = 'sm' AND receipt_state = 'delivered'"
    return int((await stacks.rows(stack, query))[0]["n"])


async def _under_way(stack: Stack, receipts: int = 20) -> None:
    """Messages have gone out over the bind, and receipts have come back."""

    async def some() -> bool:
        return await _receipts(stack) >= receipts

    await eventually(some, within_s=30, what="receipts over the bind")
