"""The long form of the failpoints: each point alone and under load, and workers that freeze instead of dying.

Not part of `make test`; `make faults` runs it.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.deaths import KILLED, REACHED_WITHIN_S, Death, Task, arm, is_frozen, second, told_of
from tests.support.platform import Platform, fresh_number, platform_of
from tests.support.waiting import eventually
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "stories.toml"
PUBLIC = "intake,checks"
HITS = 3
STEP = ("decoded", "gathered", "acted", "committed", "published", "offsets_committed")
MATRIX = (
    *((worker, f"{worker}.{point}") for worker in ("fraud", "codes", "receipts") for point in STEP),
    *((PUBLIC, f"intake.{point}") for point in ("gathered", "acted", "committed", "published")),
    *((PUBLIC, f"checks.{point}") for point in ("counted", "acted", "committed", "published")),
    *(
        ("dispatch", f"dispatch.{point}")
        for point in ("claimed", "before_call", "called", "before_result", "result_committed", "published")
    ),
    ("dispatch", "dispatch.offsets_committed"),
)
FROZEN = (
    ("codes", "codes.decoded"),
    ("codes", "codes.committed"),
    ("dispatch", "dispatch.claimed"),
    ("dispatch", "dispatch.called"),
    ("dispatch", "dispatch.result_committed"),
)

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


@pytest.mark.parametrize(("group", "point"), MATRIX, ids=[point for _, point in MATRIX])
async def test_a_worker_dies_under_load_and_every_user_is_verified_with_one_message(
    stack: Stack, platform: Platform, group: str, point: str
) -> None:
    await asyncio.to_thread(arm, stack, group, point, hits=HITS)
    armed = stack.children[group].process
    ended: dict[str, tuple[int | None, Task]] = {}

    async def dead() -> bool:
        ended.update(one_more_user(platform, len(ended)))
        return armed.exit_code is not None

    await eventually(dead, within_s=REACHED_WITHIN_S, what=f"{group} to die at {point}")
    assert armed.exit_code == KILLED
    assert_nobody_noticed(await told_of(stack, platform, ended))


@pytest.mark.parametrize(("group", "point"), FROZEN, ids=[point for _, point in FROZEN])
async def test_a_worker_freezes_until_another_has_done_its_work_and_changes_nothing_when_it_thaws(
    stack: Stack, platform: Platform, group: str, point: str
) -> None:
    await asyncio.to_thread(arm, stack, group, point, action="freeze")
    frozen = stack.children[group].process
    user = asyncio.create_task(platform.verify(fresh_number(), policy="patient"))

    async def stands_still() -> bool:
        return is_frozen(frozen.pid)

    await eventually(stands_still, within_s=REACHED_WITHIN_S, what=f"{group} to freeze at {point}")
    async with second(stack, group):
        way = await user
        frozen.thaw()
        after = asyncio.create_task(platform.verify(fresh_number(), policy="patient"))
        await after
        deaths = await told_of(stack, platform, {"frozen": (None, user), "after": (None, after)})
        assert_nobody_noticed(deaths)
        assert way.result == "approved" and frozen.exit_code is None, "it thawed and went on"
