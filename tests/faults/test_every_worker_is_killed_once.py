"""Every worker is killed once in the middle of a load: nobody's verification is lost, nobody gets two messages, and the
audit finds every promise kept."""

import asyncio

import pytest

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.generator import Load, generator
from watchword.local.auditing import audited, in_words
from watchword.local.stack import GROUPS, Stack

# As long as the deaths take, on numbers that nobody else has. Fraud only watches: users who cannot check their codes
# for a while look like a pumped country.
LOAD = Load(count=500, rate_per_s=30, first_number=918_000_000_000)
# Two at a time, to be done sooner; what they hand to each other goes through others that run.
ROUNDS = (("intake,checks", "judge"), ("fraud", "receipts"), ("codes", "callbacks"), ("dispatch", "timers"))


@pytest.mark.apache
@pytest.mark.timeout(240)
async def test_killing_every_worker_in_the_middle_of_500_loses_none_and_sends_none_twice(stack: Stack) -> None:
    assert {name for names in ROUNDS for name in names} == set(GROUPS)
    async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
        load = asyncio.create_task(platform.run(LOAD))
        for names in ROUNDS:
            await asyncio.gather(*(stacks.killed(stack, name) for name in names))
        told = await load
    await stacks.at_rest(stack)
    query = "SELECT state FROM verifications WHERE id = ANY($1::text[]::uuid[])"
    states = await stacks.rows(stack, query, [each.id for each in told])
    async with carriers_at(stack.simulator_url) as carriers:
        delivered = await carriers.ledger()
        inboxes = [len(await carriers.inbox(each.number)) for each in told]
    assert in_words(await audited(stack)) == "clean"
    assert [each for each in told if each.result != "approved"] == []
    assert {row["state"] for row in states} == {"approved"}
    assert len(states) == len({each.id for each in told}) == LOAD.count
    assert set(delivered.values()) == {1}, "one client_ref, one message"
    assert inboxes == [1] * LOAD.count, "one verification, one message"
