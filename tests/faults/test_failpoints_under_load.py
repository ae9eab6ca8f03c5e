"""The long form of the failpoints: every worker at once dies under load, at one point after another; whoever asks again
or through the Kafka door; and workers that freeze while another does their work.

Not part of `make test`; `make faults` runs it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.deaths import (
    DISPATCH,
    KILLED,
    REACHED_WITHIN_S,
    STEP,
    Death,
    Story,
    Task,
    arm,
    dies,
    is_frozen,
    points,
    second,
    told_of,
    typed_at_the_end,
)
from tests.support.inbox import publishes
from tests.support.platform import Platform, Verified, fresh_number, platform_of
from tests.support.waiting import eventually, paced
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "stories.toml"
PUBLIC = "intake,checks"
HITS = 3
USER_EVERY_S = 0.1
GAP_S = 1.2  # the policy asks for 1 s between two sends
ALL_DEAD_WITHIN_S = 60.0
OF_GROUPS: Mapping[str, tuple[str, ...]] = {
    "fraud": points("fraud", *STEP),
    "codes": points("codes", *STEP),
    "receipts": points("receipts", *STEP, "taken", "acknowledged"),
    "dispatch": DISPATCH,
    PUBLIC: (
        *points("intake", "gathered", "acted", "committed", "published"),
        *points("checks", "counted", "acted", "committed", "published"),
    ),
}
# One point of every group a load. Who dies later in a verification's life dies while those before it come back.
ROUNDS = [
    {group: point for group, point in zip(OF_GROUPS, names, strict=True) if point}
    for names in zip_longest(*OF_GROUPS.values())
]
BEFORE_THE_COMMIT = points("intake", "gathered", "acted")
LOCKED = points("dispatch", "before_locked_result", "locked_result_committed")
AGAIN = points("intake.desk", "gathered", "acted", "committed")
FROZEN = ("codes.decoded", "codes.committed")  # before and after its transaction; in the middle: with every gateway

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module")
async def stack(servers_directory: Path) -> AsyncIterator[Stack]:
    plan = Plan(directory=servers_directory / "under-load", kafka=Kind.APACHE, configuration=CONFIGURATION)
    async with stacks.running(plan) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def platform(stack: Stack) -> AsyncIterator[Platform]:
    async with platform_of(stack) as made:
        yield made


def one_more_user(platform: Platform, number: int) -> dict[str, tuple[int | None, Task]]:
    """A user who goes their way meanwhile. They keep coming: those who wait for a worker to start share its batch."""
    return {str(number): (None, asyncio.create_task(platform.verify(fresh_number(), policy="patient")))}


def assert_nobody_noticed(deaths: dict[str, Death]) -> None:
    """Every user is approved; an answer that was lost may be told as `used`."""
    assert {death.way.result for death in deaths.values()} <= {"approved", "used"}, deaths
    assert {death.row["state"] for death in deaths.values()} == {"approved"}
    assert {death.messages for death in deaths.values()} == {1}
    assert [death for death in deaths.values() if not death.is_gapless] == []


@pytest.mark.parametrize("points", ROUNDS, ids=["+".join(each.values()) for each in ROUNDS])
async def test_every_worker_dies_under_one_load_and_every_user_is_verified_with_one_message(
    stack: Stack, platform: Platform, points: Mapping[str, str]
) -> None:
    await asyncio.gather(*(asyncio.to_thread(arm, stack, group, point, hits=HITS) for group, point in points.items()))
    armed = {point: stack.children[group].process for group, point in points.items()}
    ended: dict[str, tuple[int | None, Task]] = {}

    async def dead() -> bool:
        ended.update(one_more_user(platform, len(ended)))
        await paced(USER_EVERY_S)
        return all(process.exit_code is not None for process in armed.values())

    await eventually(dead, within_s=ALL_DEAD_WITHIN_S, what=f"all of {points} to be reached")
    assert {point: process.exit_code for point, process in armed.items()} == dict.fromkeys(armed, KILLED)
    assert_nobody_noticed(await told_of(stack, platform, ended))


# Who comes by another way ----------------------------------------------------------------------------------------


def asks_again(platform: Platform) -> Story:
    """A user who asks for the code once more: that is not done at once, but under locks."""

    async def story() -> Verified:
        way = Verified(fresh_number())
        body = {"to": way.number, "policy": "patient"}
        begun = await platform.until_answered("/v1/verifications", body, faults=way.faults, idempotency_key=way.number)
        way.id = str(begun.body["id"])
        await platform.carriers.wait_for_code(way.number)
        await paced(GAP_S)
        path = f"/v1/verifications/{way.id}/resend"
        told = await platform.until_answered(path, {}, faults=way.faults, idempotency_key=way.id)
        assert told.status == 202, told
        await platform.carriers.wait_for_code(way.number, seen=1, within_s=30)
        await platform.enter_code(way)
        return way

    return story


async def lives_of(
    stack: Stack, platform: Platform, names: tuple[str, ...], story: Callable[[], Story]
) -> dict[str, Death]:
    """One life of intake after another, each ending at its point; then everybody's story to its end."""
    ended = {point: await dies(stack, PUBLIC, point, story()) for point in names}
    return await told_of(stack, platform, ended)


@pytest_asyncio.fixture(scope="module")
async def again(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, AGAIN, lambda: asks_again(platform))


@pytest_asyncio.fixture(scope="module")
async def inbox(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, BEFORE_THE_COMMIT, lambda: publishes(stack, platform))


@pytest_asyncio.fixture(scope="module")
async def failed_over(stack: Stack, platform: Platform) -> dict[str, Death]:
    """The first account is down: its result is written under locks, for another try follows at once."""
    await platform.carriers.behave("alpha", down=True)
    late: Story = partial(typed_at_the_end, stack, platform, "login")
    ended = {point: await dies(stack, "dispatch", point, late) for point in LOCKED}
    await platform.carriers.behave("alpha", down=False)
    return await told_of(stack, platform, ended)


@pytest.mark.parametrize("point", LOCKED)
async def test_dispatch_dies_between_two_accounts_and_its_user_has_one_message(
    failed_over: dict[str, Death], point: str
) -> None:
    assert failed_over[point].exit_code == KILLED, f"nothing came to {point}"
    assert_nobody_noticed({point: failed_over[point]})


@pytest.mark.parametrize("point", AGAIN)
async def test_intake_dies_and_who_asked_again_has_two_messages(again: dict[str, Death], point: str) -> None:
    death = again[point]
    assert death.exit_code == KILLED, f"nothing came to {point}"
    assert (death.way.result, death.row["state"], death.messages) == ("approved", "approved", 2), death
    assert death.is_gapless, death
    assert sum(told.event == "resend-requested" for told in death.life) == 1


@pytest.mark.parametrize("point", BEFORE_THE_COMMIT)
async def test_intake_dies_before_its_commit_and_the_published_request_is_one_verification(
    inbox: dict[str, Death], point: str
) -> None:
    assert inbox[point].exit_code == KILLED, f"nothing came to {point}"
    assert_nobody_noticed({point: inbox[point]})


# Frozen ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen_at", FROZEN)
async def test_codes_freezes_until_another_has_done_its_work_and_changes_nothing_when_it_thaws(
    stack: Stack, platform: Platform, frozen_at: str
) -> None:
    await asyncio.to_thread(arm, stack, "codes", frozen_at, action="freeze")
    frozen = stack.children["codes"].process
    user = asyncio.create_task(platform.verify(fresh_number(), policy="patient"))

    async def stands_still() -> bool:
        return is_frozen(frozen.pid)

    await eventually(stands_still, within_s=REACHED_WITHIN_S, what=f"codes to freeze at {frozen_at}")
    async with second(stack, "codes"):
        way = await user
        assert is_frozen(frozen.pid), "all of it was done by the other one"
        frozen.thaw()
        after = asyncio.create_task(platform.verify(fresh_number(), policy="patient"))
        await after
        deaths = await told_of(stack, platform, {"frozen": (None, user), "after": (None, after)})
        assert_nobody_noticed(deaths)
        assert way.result == "approved" and frozen.exit_code is None, "it thawed and went on"
