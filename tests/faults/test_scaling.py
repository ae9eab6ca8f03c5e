"""Several processes of a worker share its work; one that dies is taken over from; scaling up and down loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.carrier import carriers_at
from tests.support.generator import Load, Told, generator
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "scaling.toml"
PUBLIC = "intake,checks"
SCALED = {"fraud": 4, "codes": 4, "dispatch": 16}  # and how many partitions each reads
TAKEN_OVER_WITHIN_S = 30.0
SENDS_OF_A_RANGE_MAX = 40  # as scaling.toml says

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module")
async def stack(servers_directory: Path) -> AsyncIterator[Stack]:
    """Two processes of each of the workers that are scaled, and two doors."""
    plan = Plan(
        directory=servers_directory / "scaling",
        kafka=Kind.APACHE,
        configuration=CONFIGURATION,
        instances={**dict.fromkeys(SCALED, 2), PUBLIC: 2},
    )
    async with stacks.running(plan) as running:
        yield running


async def under_load(stack: Stack, load: Load) -> "asyncio.Task[list[Told]]":
    """A load that runs while the test does something else."""

    async def run() -> list[Told]:
        async with generator(api=stack.api_url, key=stack.api_key, simulator=stack.simulator_url) as platform:
            return await platform.run(load)

    return asyncio.create_task(run())


async def handled(stack: Stack, group: str) -> list[float]:
    """How many events each process of a group has dealt with."""
    counted = [
        await stacks.values_of(child, "watchword_runtime_events_total", stage=group) for child in stack.instances(group)
    ]
    return [sum(each) for each in counted]


async def until_shared(stack: Stack, group: str, *, within_s: float) -> None:
    """Wait until the partitions of a group are all read, by every process of it that is meant to run."""

    async def shared() -> bool:
        read = [
            sum(await stacks.values_of(child, "watchword_runtime_assigned_size", stage=group))
            for child in stack.instances(group)
        ]
        return sum(read) == SCALED[group] and all(read)

    await eventually(shared, within_s=within_s, what=f"{SCALED[group]} partitions of {group} to be shared")


async def assert_nothing_went_wrong(stack: Stack, told: list[Told]) -> None:
    """Everybody was verified, with one message each."""
    await stacks.at_rest(stack)
    assert [each for each in told if each.result != "approved"] == []
    async with carriers_at(stack.simulator_url) as carriers:
        assert set((await carriers.ledger()).values()) == {1}
        assert [len(await carriers.inbox(each.number)) for each in told] == [1] * len(told)


async def test_two_processes_share_the_work_and_one_takes_over_when_the_other_dies(stack: Stack) -> None:
    for group in SCALED:
        await until_shared(stack, group, within_s=TAKEN_OVER_WITHIN_S)
    load = await under_load(stack, Load(count=600, rate_per_s=20, first_number=919_720_000_000))

    async def shared() -> bool:
        return all([all(await handled(stack, group)) for group in SCALED])

    await eventually(shared, within_s=TAKEN_OVER_WITHIN_S, what="every process to have dealt with something")
    for group in SCALED:
        await stacks.killed_for_good(stack, f"{group}.1")
    assert not load.done()
    await asyncio.gather(*(until_shared(stack, group, within_s=TAKEN_OVER_WITHIN_S) for group in SCALED))
    await assert_nothing_went_wrong(stack, await load)


async def test_two_doors_admit_exactly_as_many_as_the_limit_holds(stack: Stack) -> None:
    doors = [child.api_url for child in stack.instances(PUBLIC)]
    assert len(set(doors)) == 2
    headers = {"Authorization": f"Bearer {stack.api_key}"}

    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=64)) as session:

        async def start(number: int) -> int:
            body = {"to": f"+91973000{number:04}", "policy": "load"}
            async with session.post(f"{doors[number % 2]}/v1/verifications", json=body) as answer:
                await answer.read()
                return answer.status

        statuses = Counter(await asyncio.gather(*(start(number) for number in range(4 * SENDS_OF_A_RANGE_MAX))))
    assert statuses == {202: SENDS_OF_A_RANGE_MAX, 429: 3 * SENDS_OF_A_RANGE_MAX}


async def test_from_one_to_four_to_one_under_load_loses_none_and_sends_none_twice(server_directory: Path) -> None:
    plan = Plan(directory=server_directory, kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as stack:
        load = await under_load(stack, Load(count=1_800, rate_per_s=20, first_number=919_740_000_000))
        for group in SCALED:
            await asyncio.to_thread(stack.scale, group, 4)
        for group in SCALED:
            await until_shared(stack, group, within_s=TAKEN_OVER_WITHIN_S)

        async def shared() -> bool:
            return all([all(await handled(stack, group)) for group in SCALED])

        await eventually(shared, within_s=TAKEN_OVER_WITHIN_S, what="every process to have dealt with something")
        repeated = [
            await stacks.values_of(child, "watchword_dispatch_repeated_total") for child in stack.instances("dispatch")
        ]
        assert repeated == [[0]] * 4, "who hands a partition over has committed what it finished"
        for group in SCALED:
            await asyncio.to_thread(stack.scale, group, 1)
        for group in SCALED:
            await until_shared(stack, group, within_s=TAKEN_OVER_WITHIN_S)
        assert not load.done()
        await assert_nothing_went_wrong(stack, await load)
        assert [child.process.exit_code for child in stack.children.values() if child.stopped] == [0] * 9
