"""Told to stop, every worker finishes what it has in hand: under load nobody's verification is lost, nobody gets two
messages, and whoever takes over reads nothing again (guarantees.md, section 7)."""

import asyncio
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.generator import Load, generator
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import GROUPS, Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "scaling.toml"
LOAD = Load(count=5_000, rate_per_s=30)
# Two at a time, to be done sooner; what they hand to each other goes through others that run.
ROUNDS = (("intake,checks", "judge"), ("fraud", "receipts"), ("codes", "callbacks"), ("dispatch", "timers"))
REPEATED = "watchword_dispatch_repeated_total"

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(240)]


async def stopped_and_started(stack: Stack, name: str) -> int | None:
    """One worker told to stop, and another life of it; answers how the first ended."""
    code = await stacks.drained(stack, name)
    await asyncio.to_thread(stack.restart, name)
    await asyncio.to_thread(stack.await_ready, name)
    return code


async def shared(stack: Stack) -> bool:
    """Whether every process of dispatch has partitions and has dealt with something."""
    dispatches = stack.instances("dispatch")
    read = [await stacks.values_of(each, "watchword_runtime_assigned_size", stage="dispatch") for each in dispatches]
    dealt = [await stacks.values_of(each, "watchword_runtime_events_total", stage="dispatch") for each in dispatches]
    return all(map(sum, read)) and all(map(sum, dealt))


async def test_stopping_every_worker_under_load_loses_nothing_and_repeats_nothing(server_directory: Path) -> None:
    assert {name for names in ROUNDS for name in names} == set(GROUPS)
    ended: dict[str, int | None] = {}
    over = asyncio.Event()
    async with stacks.running(
        Plan(directory=server_directory, kafka=Kind.APACHE, configuration=CONFIGURATION)
    ) as stack:
        async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
            load = asyncio.create_task(platform.run(LOAD, until=over))
            for names in ROUNDS:
                codes = await asyncio.gather(*(stopped_and_started(stack, name) for name in names))
                ended |= dict(zip(names, codes, strict=True))
            await asyncio.to_thread(stack.scale, "dispatch", 2)
            await eventually(lambda: shared(stack), within_s=30, what="a second process to have its share")
            assert not load.done()
            over.set()
            told = await load
        await stacks.at_rest(stack)
        states = await stacks.rows(stack, "SELECT state, count(*) AS count FROM verifications GROUP BY state")
        repeated = [await stacks.values_of(child, REPEATED) for child in stack.instances("dispatch")]
        async with carriers_at(stack.simulator_url) as carriers:
            delivered = await carriers.ledger()
            inboxes = [len(await carriers.inbox(each.number)) for each in told]
    assert ended == dict.fromkeys(GROUPS, 0), "each ends by itself within its grace"
    assert [each for each in told if each.result != "approved"] == []
    assert {row["state"]: row["count"] for row in states} == {"approved": len(told)}
    assert set(delivered.values()) == {1} and inboxes == [1] * len(told)
    assert repeated == [[0], [0]], "what was finished was committed: nothing is read again"
