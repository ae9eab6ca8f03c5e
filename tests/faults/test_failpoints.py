"""Every worker is killed at every boundary of its step, as a power cut would: the verification that brought it there
is still approved, once, with one message, and its events have no gap (guarantees.md, sections 2 and 4).

The processes are real. Each point is one life of the worker: it is started with a trap, a user's verification springs
it, the watch starts the worker again without. `make faults` runs the matrix again, three hits deep.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.deaths import (
    CALLED,
    DISPATCH,
    KILLED,
    STEP,
    Death,
    Story,
    Task,
    arm,
    dies,
    points,
    told_of,
    typed_at_the_end,
)
from tests.support.inbox import publishes
from tests.support.platform import Platform, Verified, fresh_number
from watchword.local.stack import Stack

PUBLIC = "intake,checks"
AGAIN = ("acted", "published")  # the step is written once: where it is not what is tried, its two worst moments do
CODES = points("codes", *STEP)
FRAUD = points("fraud", *AGAIN)
RECEIPTS = points("receipts", *AGAIN, "taken", "acknowledged")
DOOR = points("intake", "gathered", "acted", "committed", "published")
INBOX = points("intake", "committed", "published", "offsets_committed")  # before the commit: in the long form
CHECKS = points("checks", "counted", "acted", "committed", "published")
TIMERS = ("timers.due_verifications.acted", "timers.due_verifications.committed", "timers.published")
SWEEP = points("timers", "sweeping", "swept")

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]


def assert_nothing_is_wrong(death: Death, *, result: str = "approved", messages: int = 1) -> None:
    """The worker did die there, and its user does not know. Whose approval was committed when its answer was lost hears
    `used` when asking again."""
    assert death.exit_code == KILLED, f"nothing came to {death.point}: exit code {death.exit_code}"
    answer_lost = death.way.result == "used" and death.way.faults
    assert death.way.result == result or answer_lost, death
    assert death.row["state"] == "approved", death
    assert death.messages == messages, death
    assert death.is_gapless, death
    ends = [told for told in death.life if told.event == "verification-ended"]
    assert len(ends) == 1 and len({told.id for told in death.life}) == len(death.life), death


async def lives_of(
    stack: Stack, platform: Platform, group: str, names: tuple[str, ...], story: Callable[[], Story]
) -> dict[str, Death]:
    """One life of a worker after another, each ending at its point; then everybody's story to its end."""
    ended: dict[str, tuple[int | None, Task]] = {}
    for point in names:
        ended[point] = await dies(stack, group, point, story())
    return await told_of(stack, platform, ended)


def verifies(platform: Platform, **fields: Any) -> Story:
    """A user on a number of their own."""
    return partial(platform.verify, fresh_number(), **fields)


# The standard step -----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def fraud(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, "fraud", FRAUD, lambda: verifies(platform, policy="patient"))


@pytest_asyncio.fixture(scope="module")
async def codes(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, "codes", CODES, lambda: verifies(platform, policy="patient"))


@pytest_asyncio.fixture(scope="module")
async def receipts(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, "receipts", RECEIPTS, lambda: verifies(platform))


@pytest.mark.parametrize("point", FRAUD)
async def test_fraud_dies_and_its_user_is_verified(fraud: dict[str, Death], point: str) -> None:
    """By itself: were the request lost to fraud, timers would stand in for it before its user loses patience."""
    assert_nothing_is_wrong(fraud[point])
    assert [told.worker for told in fraud[point].life if told.event == "verification-assessed"] == ["fraud"]


@pytest.mark.parametrize("point", CODES)
async def test_codes_dies_and_its_user_is_verified(codes: dict[str, Death], point: str) -> None:
    assert_nothing_is_wrong(codes[point])
    assert sum(told.event == "code-issued" for told in codes[point].life) == 1


@pytest.mark.parametrize("point", RECEIPTS)
async def test_receipts_dies_and_the_receipt_is_recorded_once(receipts: dict[str, Death], point: str) -> None:
    assert_nothing_is_wrong(receipts[point])
    assert sum(told.event == "receipt-recorded" for told in receipts[point].life) == 1


# Intake: both doors ----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def intake(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, PUBLIC, DOOR, lambda: verifies(platform))


@pytest_asyncio.fixture(scope="module")
async def inbox(stack: Stack, platform: Platform) -> dict[str, Death]:
    return await lives_of(stack, platform, PUBLIC, INBOX, lambda: publishes(stack, platform))


@pytest.mark.parametrize("point", DOOR)
async def test_intake_dies_and_the_repeated_request_is_the_same_verification(
    intake: dict[str, Death], point: str
) -> None:
    assert_nothing_is_wrong(intake[point])


@pytest.mark.parametrize("point", INBOX)
async def test_intake_dies_and_the_published_request_is_one_verification(inbox: dict[str, Death], point: str) -> None:
    assert_nothing_is_wrong(inbox[point])


# Dispatch --------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def dispatch(stack: Stack, platform: Platform) -> dict[str, Death]:
    """Blind gateways first: theirs are the longest waits."""
    ended: dict[str, tuple[int | None, Task]] = {}
    for purpose in ("blind", "blind-once"):
        late: Story = partial(typed_at_the_end, stack, platform, purpose)
        ended[purpose] = await dies(stack, "dispatch", "dispatch.called", late)
    for point in DISPATCH:
        late = partial(typed_at_the_end, stack, platform, "login")
        story = late if point in CALLED else verifies(platform)
        ended[point] = await dies(stack, "dispatch", point, story)
    return await told_of(stack, platform, ended)


@pytest.mark.parametrize("point", DISPATCH)
async def test_dispatch_dies_and_a_gateway_that_dedupes_sends_one_message(
    dispatch: dict[str, Death], point: str
) -> None:
    assert_nothing_is_wrong(dispatch[point])


async def test_dispatch_dies_in_a_call_and_a_blind_gateway_sends_at_most_two_and_it_is_told(
    stack: Stack, dispatch: dict[str, Death]
) -> None:
    death = dispatch["blind"]
    assert death.messages in (1, 2), death
    assert_nothing_is_wrong(death, messages=death.messages)
    query = "SELECT possible_duplicate FROM attempts WHERE verification_id = $1::text::uuid"
    marked = [row["possible_duplicate"] for row in await stacks.rows(stack, query, death.way.id)]
    assert death.messages == 1 or any(marked), marked


async def test_dispatch_dies_in_a_call_and_an_account_that_holds_sends_at_most_one(
    stack: Stack, dispatch: dict[str, Death]
) -> None:
    death = dispatch["blind-once"]
    assert_nothing_is_wrong(death, messages=1)
    query = "SELECT state FROM attempts WHERE verification_id = $1::text::uuid"
    assert [row["state"] for row in await stacks.rows(stack, query, death.way.id)] == ["unknown"]


# Checks ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def checks(stack: Stack, platform: Platform) -> dict[str, Death]:
    """The code is there before the worker gets its trap."""
    ended: dict[str, tuple[int | None, Task]] = {}
    for point in CHECKS:
        number = fresh_number()
        way = Verified(number)
        told = await platform.until_answered("/v1/verifications", {"to": number}, faults=way.faults)
        way.id = str(told.body["id"])
        await platform.carriers.wait_for_code(number)
        ended[point] = await dies(stack, PUBLIC, point, partial(entered, platform, way))
    return await told_of(stack, platform, ended)


async def entered(platform: Platform, way: Verified) -> Verified:
    await platform.enter_code(way)
    return way


@pytest.mark.parametrize("point", CHECKS)
async def test_checks_dies_and_the_right_code_is_right_once(checks: dict[str, Death], point: str) -> None:
    """Where the approval was committed and its answer lost, the repeat says so: used."""
    answer = "approved" if point in ("checks.counted", "checks.acted") else checks[point].way.result
    assert answer in ("approved", "used")
    assert_nothing_is_wrong(checks[point], result=answer)
    assert checks[point].row["checks_used"] == (1 if point in ("checks.committed", "checks.published") else 2)


async def test_a_guess_during_which_checks_dies_is_not_free(stack: Stack, platform: Platform) -> None:
    await asyncio.to_thread(stack.await_ready, PUBLIC)
    identity = await platform.started(number := fresh_number())
    code = await platform.carriers.wait_for_code(number)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    path, faults = f"/v1/verifications/{identity}/check", list[str]()

    async def guesses() -> Verified:
        told = await platform.until_answered(path, {"code": wrong}, faults=faults)
        return Verified(number, identity, str(told.body["result"]))

    exit_code, task = await dies(stack, PUBLIC, "checks.counted", guesses)
    results = [(await task).result]
    while results[-1] == "wrong":
        results.append(str((await platform.check(identity, wrong)).body["result"]))
    assert exit_code == KILLED and faults
    assert results == ["wrong"] * 3 + ["locked"], "five guesses, of which the first was never answered"
    assert (await platform.check(identity, code)).body["result"] == "locked"


# Timers ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def timers(stack: Stack, platform: Platform) -> AsyncIterator[dict[str, Death]]:
    """Without fraud, timers assess; an event that intake did not come to publish is theirs to sweep."""
    ended: dict[str, tuple[int | None, Task]] = {}
    await asyncio.to_thread(stack.terminate, "fraud")
    for point in TIMERS:
        ended[point] = await dies(stack, "timers", point, verifies(platform))
    for point in SWEEP:
        await asyncio.to_thread(arm, stack, PUBLIC, "intake.committed")
        ended[point] = await dies(stack, "timers", point, verifies(platform))
    told = await told_of(stack, platform, ended)
    await asyncio.to_thread(stack.restart, "fraud")
    yield told


@pytest.mark.parametrize("point", (*TIMERS, *SWEEP))
async def test_timers_dies_and_what_is_overdue_is_done_once(timers: dict[str, Death], point: str) -> None:
    assert_nothing_is_wrong(timers[point])
    assert sum(told.event == "verification-assessed" for told in timers[point].life) == 1
