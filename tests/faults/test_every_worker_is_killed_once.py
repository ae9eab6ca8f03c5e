"""Every worker is killed once in the middle of a load: nobody's verification is lost, nobody gets two messages, and the
audit finds every promise kept."""

import asyncio
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.generator import Load, generator
from watchword.local.auditing import audited, in_words
from watchword.local.kafka import Kind
from watchword.local.stack import GROUPS, Plan

LOAD = Load(count=500, rate_per_s=50)
# Fraud only watches: users who cannot check their codes for a while look like a pumped country.
CONFIGURATION = Path(__file__).parents[1] / "support" / "stories.toml"


@pytest.mark.apache
@pytest.mark.timeout(240)
async def test_killing_every_worker_in_the_middle_of_500_loses_none_and_sends_none_twice(
    server_directory: Path,
) -> None:
    plan = Plan(directory=server_directory, kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as stack:
        async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
            load = asyncio.create_task(platform.run(LOAD))
            for name in GROUPS:
                await stacks.killed(stack, name)
            told = await load
        await stacks.at_rest(stack)
        states = await stacks.rows(stack, "SELECT id::text, state, seq FROM verifications")
        async with carriers_at(stack.simulator_url) as carriers:
            delivered = await carriers.ledger()
            inboxes = [len(await carriers.inbox(each.number)) for each in told]
        assert in_words(await audited(stack)) == "clean"
    assert [each for each in told if each.result != "approved"] == []
    assert {row["state"] for row in states} == {"approved"}
    assert len(states) == len({each.id for each in told}) == LOAD.count
    assert set(delivered.values()) == {1}, "one client_ref, one message"
    assert inboxes == [1] * LOAD.count, "one verification, one message"
