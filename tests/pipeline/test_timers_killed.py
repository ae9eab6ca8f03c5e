"""timers as a process of its own, killed at every point of every duty: what was overdue is done and told once."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.support.alone import KILLED, alone, died
from tests.support.deaths import points
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.rows import attempt, issued
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.envelope import encode
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.verification import Facts

SOON = {"WATCHWORD_TIMERS_SWEEP_AFTER_S": "0.5", "WATCHWORD_TIMERS_PAUSE_S": "0.05"}
JUST_NOW = timedelta(seconds=-1)
LONG_AGO = timedelta(minutes=-10)
_NUMBERS = count(919_876_500_000)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def at(offset: timedelta) -> datetime:
    return datetime.now(UTC) + offset


def somebody(stand: Pipeline, **columns: Any) -> Awaitable[Facts]:
    """A verification on a number of its own, three events told."""
    return issued(stand, number=f"+{next(_NUMBERS)}", **columns)


# What can be overdue ---------------------------------------------------------------------------------------------


async def past_its_life(stand: Pipeline) -> Facts:
    return await somebody(stand, created_at=at(LONG_AGO), expires_at=at(JUST_NOW), due_at=at(JUST_NOW))


async def trying(stand: Pipeline, *, about: Mapping[str, Any] | None = None, **columns: Any) -> Facts:
    """A verification with an attempt like this."""
    made = await somebody(stand, **(about or {}))
    await attempt(stand, made, **columns)
    return made


def claimed_by_the_dead(stand: Pipeline) -> Awaitable[Facts]:
    return trying(stand, state="sending", owner="d-1", account="echo-1", lease_until=at(JUST_NOW))


def not_sent_in_time(stand: Pipeline) -> Awaitable[Facts]:
    return trying(stand, send_deadline=at(LONG_AGO))


def no_longer_wanted(stand: Pipeline) -> Awaitable[Facts]:
    return trying(stand, about={"state": "approved", "ended_at": at(JUST_NOW), "due_at": None})


def not_reported(stand: Pipeline) -> Awaitable[Facts]:
    return trying(stand, state="accepted", account="echo-1", receipt_due_at=at(JUST_NOW))


@dataclass(frozen=True)
class Duty:
    """How something comes to be overdue, and the event that tells what was done about it."""

    overdue: Callable[[Pipeline], Awaitable[Facts]]
    told: str


DUTIES = {
    "due_verifications": Duty(past_its_life, "verification-ended"),
    "stale_claims": Duty(claimed_by_the_dead, "send-requested"),
    "late_attempts": Duty(not_sent_in_time, "attempt-made"),
    "abandoned_attempts": Duty(no_longer_wanted, "attempt-made"),
    "unreported_attempts": Duty(not_reported, "receipt-recorded"),
}
MOMENTS = {point: duty for name, duty in DUTIES.items() for point in points(f"timers.{name}", "acted", "committed")}
BURYING = points("timers", "burying", "buried")
TIDYING = points("timers", "forgetting", "forgotten")


async def parked(stand: Pipeline) -> ReceiptReceived:
    """A receipt that nobody claimed in time."""
    event = ReceiptReceived(receipt_id="r1", account="a", gateway="echo", received_at=at(LONG_AGO), sealed="AQ==")
    await stand.connection.execute(
        "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until) "
        "VALUES ('r1/0', 'a', '', 'm-1', $1, $2)", encode(event), at(JUST_NOW),
    )  # fmt: skip
    return event


async def idle(stand: Pipeline, token: str) -> None:
    """A number of which nothing is kept but its data key."""
    await stand.connection.execute(
        "INSERT INTO subjects (tenant, number_token, wrapped_key) VALUES ('shop', $1, '')", token
    )


async def subjects(stand: Pipeline) -> set[str]:
    return {row["number_token"] for row in await stand.connection.fetch("SELECT number_token FROM subjects")}


# Their deaths ----------------------------------------------------------------------------------------------------


@dataclass
class Deaths:
    """How each life ended, which verification it was about, the events of each (name, id, number), and the dead letters
    of receipts by id with their reason."""

    codes: dict[str, int | None] = field(default_factory=dict)
    about: dict[str, Facts] = field(default_factory=dict)
    told: dict[UUID, set[tuple[str, str, int]]] = field(default_factory=lambda: defaultdict(set))
    letters: dict[str, bytes] = field(default_factory=dict)


async def life(stand: Pipeline, point: str) -> int | None:
    """One life of timers that ends at this point, or is ended without having come there."""
    async with alone(stand, "timers", point=point, **SOON) as process:
        return await died(process)


@pytest_asyncio.fixture(scope="module")
async def deaths(lasting_stand: Pipeline) -> Deaths:
    """One life after another, each brought to its point by something else; and one that does what they left."""
    stand, ended = lasting_stand, Deaths()
    for point, duty in MOMENTS.items():
        ended.about[point] = await duty.overdue(stand)
        ended.codes[point] = await life(stand, point)
    await parked(stand)
    for point in BURYING:
        ended.codes[point] = await life(stand, point)
    for point in TIDYING:
        await idle(stand, point)
        ended.codes[point] = await life(stand, point)
    async with alone(stand, "timers", **SOON):
        await eventually(partial(nothing_is_left, stand), within_s=PATIENCE_S, what="nothing to be overdue")
    for topic in (topics.LIFECYCLE, topics.DISPATCH):
        for each in await stand.read(topic):
            verification = UUID(each.key)
            ended.told[verification].add((each.event.NAME, each.envelope.id, each.envelope.sequence))
    buried = await stand.read(topics.dead(topics.RECEIPTS))
    ended.letters |= {each.envelope.id: each.headers["wwd_reason"] for each in buried}
    return ended


async def nothing_is_left(stand: Pipeline) -> bool:
    found = await stand.row(
        "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM receipts_parked) "
        "OR EXISTS (SELECT FROM verifications WHERE due_at < now()) "
        "OR EXISTS (SELECT FROM attempts WHERE lease_until < now() OR receipt_due_at < now()) "
        "OR EXISTS (SELECT FROM subjects WHERE wrapped_key = '') AS left"
    )
    return not found["left"]


@pytest.mark.parametrize("point", MOMENTS)
async def test_timers_die_in_any_duty_and_it_is_done_and_told_once(
    lasting_stand: Pipeline, deaths: Deaths, point: str
) -> None:
    assert deaths.codes[point] == KILLED, f"nothing came to {point}"
    about = deaths.about[point]
    [(name, _, sequence)] = deaths.told[about.verification_id]
    row = await lasting_stand.row("SELECT seq FROM verifications WHERE id = $1", about.verification_id)
    assert (name, sequence, row["seq"]) == (MOMENTS[point].told, 4, 4)


@pytest.mark.parametrize("point", BURYING)
async def test_timers_die_while_they_bury_a_receipt_and_it_has_one_dead_letter(deaths: Deaths, point: str) -> None:
    assert deaths.codes[point] == KILLED, f"nothing came to {point}"
    assert list(deaths.letters.values()) == [b"unmatched_receipt"]


@pytest.mark.parametrize("point", TIDYING)
async def test_timers_die_while_they_forget_a_number_and_only_that_one_is_forgotten(
    lasting_stand: Pipeline, deaths: Deaths, point: str
) -> None:
    assert deaths.codes[point] == KILLED, f"nothing came to {point}"
    assert await subjects(lasting_stand) == {about.number_token for about in deaths.about.values()}
