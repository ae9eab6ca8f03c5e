"""Killing workers at named points: one life of a worker per point, a user's verification to bring it there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support import stack as stacks
from tests.support.platform import Platform, Verified, fresh_number
from tests.support.records import Told, lives
from tests.support.waiting import eventually
from watchword.local.process import Process
from watchword.local.stack import Stack

KILLED = 137
REACHED_WITHIN_S = 40.0

Story = Callable[[], Awaitable[Verified]]


def points(stage: str, *moments: str) -> tuple[str, ...]:
    """The names of these moments of a stage, as failpoints are armed with them."""
    return tuple(f"{stage}.{moment}" for moment in moments)


# The standard step of every loop, and what dispatch does with a message.
STEP = ("decoded", "gathered", "acted", "committed", "published", "offsets_committed")
DISPATCH = points(
    "dispatch",
    "claimed",
    "before_call",
    "called",
    "before_result",
    "result_committed",
    "published",
    "offsets_committed",
)
# Of 300 s that a code lives. Whoever takes a message up again may be the next to die, and a lease is 15 s each time.
OVER_WITHIN_S = 240.0
# The carrier has the message, and nothing here says so.
CALLED = points("dispatch", "called", "before_result")


@dataclass
class Death:
    """What came of one user whose verification brought a worker to `point`. `exit_code` is None where the worker
    never came there; `life` are the verification's events on the topics, `row` what the database holds of it."""

    point: str
    exit_code: int | None
    way: Verified
    messages: int = 0
    life: list[Told] = field(default_factory=list)
    row: dict[str, object] = field(default_factory=dict)

    @property
    def is_gapless(self) -> bool:
        """Whether the topics tell every event of the verification once, and as many as the database counted."""
        numbers = [told.sequence for told in self.life]
        return numbers == list(range(1, len(numbers) + 1)) and len(numbers) == self.row["seq"]


def arm(stack: Stack, group: str, point: str, *, hits: int = 1, action: str = "kill", **settings: str) -> None:
    """Give a worker a new life that ends the `hits`th time it comes to `point`. Takes as long as the old one does to
    stop; does not wait for the new one to be ready."""
    child = stack.children[group]
    child.stopped = True  # what ends now ends on purpose
    stack.restart(group, WATCHWORD_FAILPOINTS=f"{point}:{hits}:{action}", **settings)
    child.restart_at = 0.0


async def dies(stack: Stack, group: str, point: str, story: Story, *, hits: int = 1) -> "tuple[int | None, Task]":
    """Arm a worker, begin a story, and wait until the worker has died of it; the story goes on. The watch starts the
    worker again without the trap. Answers the exit code, None where it did not come to the point in time."""
    await asyncio.to_thread(arm, stack, group, point, hits=hits)
    armed = stack.children[group].process
    task = asyncio.create_task(_coroutine(story), name=point)

    async def dead() -> bool:
        return armed.exit_code is not None

    try:
        await eventually(dead, within_s=REACHED_WITHIN_S, what=f"{group} to die at {point}")
    except AssertionError:
        return None, task
    return armed.exit_code, task


async def _coroutine(story: Story) -> Verified:
    return await story()


Task = asyncio.Task[Verified]


async def told_of(
    stack: Stack, platform: Platform, ended: dict[str, tuple[int | None, Task]], *, within_s: float = 60.0
) -> dict[str, Death]:
    """Every story to its end, and what the phones, the topics and the database say of it afterwards."""
    ways = dict(zip(ended, await asyncio.gather(*(task for _, task in ended.values())), strict=True))
    await reported(stack, within_s=within_s)
    await stacks.at_rest(stack, within_s=within_s)
    known = await stacks.rows(stack, "SELECT id::text, state, seq, checks_used FROM verifications")
    rows = {row["id"]: dict(row) for row in known}
    told = await lives(stack.cluster)
    return {
        point: Death(
            point,
            ended[point][0],
            way,
            messages=len(await platform.carriers.inbox(way.number)),
            life=told.get(way.id, []),
            row=rows.get(way.id, {"seq": 0}),
        )
        for point, way in ways.items()
    }


async def typed_at_the_end(stack: Stack, platform: Platform, purpose: str) -> Verified:
    """A user who types the code in once nothing more is on its way: nobody sends again what was approved meanwhile."""
    way = Verified(fresh_number())
    told = await platform.start(way.number, purpose=purpose, policy="load")
    way.id = str(told.body.get("id", ""))

    async def over() -> bool:
        query = "SELECT state FROM attempts WHERE verification_id = $1::text::uuid"
        states = [row["state"] for row in await stacks.rows(stack, query, way.id)]
        return bool(states) and not {"queued", "sending"} & set(states)

    await eventually(over, within_s=OVER_WITHIN_S, what=f"the end of every attempt of {purpose}")
    await platform.enter_code(way)
    return way


async def reported(stack: Stack, *, within_s: float) -> None:
    """Wait until the last receipt of every accepted attempt is recorded."""

    async def all_reported() -> bool:
        query = "SELECT count(*) AS left FROM attempts WHERE state = 'accepted' AND receipt_state IS NULL"
        return bool((await stacks.rows(stack, query))[0]["left"] == 0)

    await eventually(all_reported, within_s=within_s, what="a receipt for every accepted attempt")


@asynccontextmanager
async def second(stack: Stack, group: str) -> AsyncIterator[None]:
    """One more process of a worker, which takes over the partitions of the first once that one is given up. Its doors
    are its own: the first one holds those that are known."""
    child = stack.children[group]
    doors = dict.fromkeys(("WATCHWORD_OPS_PORT", "WATCHWORD_HTTP_PORT", "WATCHWORD_RECEIPTS_HTTP_PORT"), "0")
    environment = {**(child.program.environment or {}), **doors, "WATCHWORD_ORDINAL": "1"}
    process = await asyncio.to_thread(Process, replace(child.program, environment=environment))
    try:
        yield
    finally:
        await asyncio.to_thread(process.stop)


def is_frozen(pid: int) -> bool:
    """Whether the process was stopped by a signal (proc(5): state T)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")
