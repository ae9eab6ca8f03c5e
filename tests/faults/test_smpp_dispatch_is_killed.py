"""dispatch is killed while it holds a bind, a full window and receipts that came: everybody is verified all the same,
nobody gets more than the one message too many that a blind carrier may cost, and no receipt is lost."""

from asyncio import create_task, to_thread
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.deaths import KILLED, arm, reported
from tests.support.generator import Load, generator
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "smpp_stack.toml"
LOAD = Load(count=160, rate_per_s=20.0)
LONGER = replace(LOAD, count=300)
BACKLOG = 40

pytestmark = [pytest.mark.slow, pytest.mark.apache, pytest.mark.timeout(240)]


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


async def test_killed_again_with_the_backlog_of_the_first_death_claimed_it_loses_nobody_either(
    server_directory: Path,
) -> None:
    """What waited while nobody sent is claimed at once by the next process. If that dies before it called anybody, all
    of it waits for its lease, 15 s; what a bind may have had waits 8 s more to be sent by another account."""
    plan = Plan(directory=server_directory, kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as stack:
        async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
            load = create_task(platform.run(LONGER))
            await _under_way(stack, receipts=5)
            await to_thread(stack.kill, "dispatch")
            began = len(await stacks.rows(stack, "SELECT FROM verifications"))
            await _as_many(stack, min(began + BACKLOG, LONGER.count))
            await to_thread(arm, stack, "dispatch", "dispatch.claimed")
            armed = stack.children["dispatch"].process
            told = await load
        await stacks.at_rest(stack)
        async with carriers_at(stack.simulator_url) as carriers:
            inboxes = [len(await carriers.inbox(each.number)) for each in told]
        query = "SELECT account, count(*) AS n FROM attempts WHERE recovery > 0 GROUP BY 1"
        again = {row["account"]: row["n"] for row in await stacks.rows(stack, query)}
    assert armed.exit_code == KILLED
    assert [each for each in told if each.result != "approved"] == []
    assert set(inboxes) <= {1, 2}
    assert sum(again.values()) >= BACKLOG / 2


async def _as_many(stack: Stack, count: int) -> None:
    async def begun() -> bool:
        return len(await stacks.rows(stack, "SELECT FROM verifications")) >= count

    await eventually(begun, within_s=30, what=f"{count} verifications")


async def _under_way(stack: Stack, receipts: int = 20) -> None:
    """Messages have gone out over the bind, and receipts have come back."""

    async def some() -> bool:
        query = "SELECT count(*) AS n FROM attempts WHERE account = 'sm' AND receipt_state = 'delivered'"
        return bool((await stacks.rows(stack, query))[0]["n"] >= receipts)

    await eventually(some, within_s=30, what="receipts over the bind")
