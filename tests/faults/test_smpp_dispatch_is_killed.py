"""dispatch is killed while it holds a bind, a full window and receipts that came: everybody is verified all the same,
nobody gets more than the one message too many that a blind carrier may cost, and no receipt is lost."""

from asyncio import create_task
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.deaths import reported
from tests.support.generator import Load, generator
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "smpp_stack.toml"
LOAD = Load(count=160, rate_per_s=20.0)

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


async def _under_way(stack: Stack) -> None:
    """Messages have gone out over the bind, and receipts have come back."""

    async def some() -> bool:
        query = "SELECT count(*) AS n FROM attempts WHERE account = 'sm' AND receipt_state = 'delivered'"
        return bool((await stacks.rows(stack, query))[0]["n"] >= 20)

    await eventually(some, within_s=30, what="twenty receipts over the bind")
