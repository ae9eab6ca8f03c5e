"""Every point of dispatch against every class of gateway, killed and frozen; every other worker frozen in the middle of
its work, alone or until another has done it; the judge killed beside everybody else (guarantees.md, section 4).

Each life ends at its point while one user's message is on its way; the users go on and are asked at the end. Not part
of `make test`; `make faults` runs it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.installation import Installation, installed
from tests.support import stack as stacks
from tests.support.deaths import (
    CALLED,
    DISPATCH,
    KILLED,
    REACHED_WITHIN_S,
    Task,
    arm,
    dies,
    is_frozen,
    points,
    second,
    typed_at_the_end,
)
from tests.support.platform import Platform, Verified, fresh_number, platform_of
from tests.support.records import lives
from tests.support.waiting import eventually, paced

CLASSES = ("dedupes", "asked", "blind")
JUDGE = points("judge", "told", "dropped")
# One moment each in the middle of the work, where a frozen process holds locks that others want.
FROZEN = (("intake,checks", "intake.acted"), ("intake,checks", "checks.counted"), ("judge", "judge.told"))
TAKEN_OVER = (
    ("fraud", "fraud.acted"), ("codes", "codes.acted"), ("receipts", "receipts.acted"),
    ("callbacks", "callbacks.acted"), ("timers", "timers.due_verifications.acted"),
)  # fmt: skip
# Nobody stands in for fraud before its user has their code from another process of it.
PATIENT = """
[[policies]]
id = "patient"
tenant = "demo"
template = "default"
gaps_s = [1]
assess_timeout_ms = 30000
"""
LAST = ("delivered",)
FROZEN_S = 6.0  # longer than any lock is waited for
WITHIN_S = 280.0  # of the 300 s that a code lives

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Told:
    """What became of one user: how the worker ended, the user's way, the messages on the phone, and whether one of
    the attempts says that there may be two."""

    exit_code: int | None
    way: Verified
    state: str
    messages: int
    marked: bool


@pytest_asyncio.fixture(scope="module")
async def made(servers_directory: Path) -> AsyncIterator[Installation]:
    environment = {"WATCHWORD_TIMERS_SWEEP_AFTER_S": "1"}
    async with installed(servers_directory / "classes", more=PATIENT, environment=environment) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def platform(made: Installation) -> AsyncIterator[Platform]:
    async with platform_of(made.stack) as one:
        yield one


def verifies(platform: Platform, purpose: str, policy: str = "load") -> Callable[[], Awaitable[Verified]]:
    """A user on a number of their own, by way of a gateway of this class."""
    return partial(platform.verify, fresh_number(), within_s=WITHIN_S, policy=policy, purpose=purpose)


async def told_of(made: Installation, platform: Platform, exit_code: int | None, task: Task) -> Told:
    """One user's story to its end, and what phone and database say of it."""
    way = await task
    await stacks.at_rest(made.stack, within_s=60)
    query = (
        "SELECT v.state, coalesce(bool_or(a.possible_duplicate), false) AS marked FROM verifications v "
        "LEFT JOIN attempts a ON a.verification_id = v.id WHERE v.id = $1::text::uuid GROUP BY v.state"
    )
    [row] = await stacks.rows(made.stack, query, way.id)
    messages = len(await platform.carriers.inbox(way.number))
    return Told(exit_code, way, row["state"], messages, row["marked"])


def assert_as_promised(told: Told, purpose: str) -> None:
    """Approved; one message, or with a blind gateway one more that the attempt tells of."""
    assert told.way.result in ("approved", "used") and told.state == "approved", told
    if purpose == "blind":
        assert told.messages == 1 or (told.messages == 2 and told.marked), told
    else:
        assert told.messages == 1, told


# Dispatch --------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def killed(made: Installation, platform: Platform) -> dict[tuple[str, str], Told]:
    """One life after another; those who wait for a lease wait together."""
    begun: dict[tuple[str, str], tuple[int | None, Task]] = {}
    for purpose in CLASSES:
        for point in DISPATCH:
            late = partial(typed_at_the_end, made.stack, platform, purpose)
            story = late if point in CALLED else verifies(platform, purpose)
            begun[purpose, point] = await dies(made.stack, "dispatch", point, story)
    return {which: await told_of(made, platform, *each) for which, each in begun.items()}


@pytest.mark.parametrize("point", DISPATCH)
@pytest.mark.parametrize("purpose", CLASSES)
async def test_dispatch_dies_and_each_class_of_gateway_keeps_its_promise(
    killed: dict[tuple[str, str], Told], purpose: str, point: str
) -> None:
    told = killed[purpose, point]
    assert told.exit_code == KILLED, f"nothing came to {point}"
    assert_as_promised(told, purpose)


async def armed(made: Installation, group: str, point: str) -> Callable[[], Awaitable[bool]]:
    """Have a worker stand still at a point; answers what says whether it does."""
    await asyncio.to_thread(arm, made.stack, group, point, action="freeze")
    process = made.stack.children[group].process

    async def stands_still() -> bool:
        return is_frozen(process.pid)

    return stands_still


@pytest.mark.parametrize("frozen_at", DISPATCH)
async def test_dispatch_freezes_until_another_has_done_its_work_and_each_class_keeps_its_promise(
    made: Installation, platform: Platform, frozen_at: str
) -> None:
    stands_still = await armed(made, "dispatch", frozen_at)
    process = made.stack.children["dispatch"].process
    users = {purpose: asyncio.create_task(_verified(verifies(platform, purpose))) for purpose in CLASSES}
    await eventually(stands_still, within_s=REACHED_WITHIN_S, what=f"dispatch to freeze at {frozen_at}")
    async with second(made.stack, "dispatch"):
        await asyncio.wait(users.values())
        process.thaw()
        after = asyncio.create_task(_verified(verifies(platform, "dedupes")))
        assert_as_promised(await told_of(made, platform, None, after), "dedupes")
        for purpose, task in users.items():
            assert_as_promised(await told_of(made, platform, None, task), purpose)
    assert process.exit_code is None, "it thawed and went on"


async def _verified(story: Callable[[], Awaitable[Verified]]) -> Verified:
    return await story()


# The others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "frozen_at"), FROZEN, ids=[point for _, point in FROZEN])
async def test_a_worker_freezes_and_thaws_and_its_user_is_verified_with_one_message(
    made: Installation, platform: Platform, group: str, frozen_at: str
) -> None:
    stands_still = await armed(made, group, frozen_at)
    process = made.stack.children[group].process
    user = asyncio.create_task(_verified(verifies(platform, "dedupes")))
    await eventually(stands_still, within_s=REACHED_WITHIN_S, what=f"{group} to freeze at {frozen_at}")
    await paced(FROZEN_S)
    process.thaw()
    assert_as_promised(await told_of(made, platform, None, user), "dedupes")
    assert process.exit_code is None, "it thawed and went on"


@pytest.mark.parametrize(("group", "frozen_at"), TAKEN_OVER, ids=[point for _, point in TAKEN_OVER])
async def test_a_worker_freezes_until_another_has_done_its_work_and_nothing_is_told_twice(
    made: Installation, platform: Platform, group: str, frozen_at: str
) -> None:
    """Everything the user is owed is done before the first process goes on, and nothing of it again. Only carriers wait
    for receipts to thaw: what that had in hand is recorded meanwhile, but its door is the one they know."""
    if group == "timers":  # they assess where fraud does not come to it
        await asyncio.to_thread(made.stack.terminate, "fraud")
    stands_still = await armed(made, group, frozen_at)
    process = made.stack.children[group].process
    policy = "load" if group == "timers" else "patient"
    user = asyncio.create_task(_verified(verifies(platform, "dedupes", policy)))
    await eventually(stands_still, within_s=REACHED_WITHIN_S, what=f"{group} to freeze at {frozen_at}")
    async with second(made.stack, group):
        await everything_done(made, await user, reports=("enroute", "delivered") if group == "receipts" else LAST)
        assert is_frozen(process.pid), "all of it was done by the other one"
        process.thaw()
        after = asyncio.create_task(_verified(verifies(platform, "dedupes", policy)))
        await everything_done(made, await after)
        for task in (user, after):
            await everything_done(made, await task)
            assert_as_promised(await told_of(made, platform, None, task), "dedupes")
    told = await lives(made.stack.cluster)
    for way in (user.result(), after.result()):
        [row] = await stacks.rows(made.stack, "SELECT seq FROM verifications WHERE id = $1::text::uuid", way.id)
        assert [each.sequence for each in told[way.id]] == list(range(1, row["seq"] + 1)), told[way.id]
        called = {call.headers["webhook-id"] for call in made.endpoint.calls if way.id.encode() in call.body}
        assert len(called) == 1, "again perhaps, where a result met the locks of who was frozen, but under the same id"
    assert process.exit_code is None, "it thawed and went on"
    if group == "timers":
        await asyncio.to_thread(made.stack.restart, "fraud")


async def everything_done(made: Installation, way: Verified, *, reports: tuple[str, ...] = LAST) -> None:
    """One of these receipts of a user's message is recorded, and the platform told all that it is owed."""
    query = (
        "SELECT EXISTS (SELECT FROM attempts WHERE verification_id = $1::text::uuid AND receipt_state = ANY($2)) "
        "AND coalesce((SELECT bool_and(state = 'delivered') FROM callback_deliveries "
        "              WHERE verification_id = $1::text::uuid), false) AS done"
    )

    async def done() -> bool:
        [row] = await stacks.rows(made.stack, query, way.id, list(reports))
        return bool(row["done"])

    await eventually(done, within_s=60, what="receipt and callback of the user")


@pytest.mark.parametrize("point", JUDGE)
async def test_the_judge_dies_and_nobody_waits_for_it(made: Installation, platform: Platform, point: str) -> None:
    exit_code, task = await dies(made.stack, "judge", point, verifies(platform, "dedupes"))
    told = await told_of(made, platform, exit_code, task)
    assert told.exit_code == KILLED
    assert_as_promised(told, "dedupes")
