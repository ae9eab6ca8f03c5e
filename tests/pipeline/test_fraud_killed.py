"""fraud as a process of its own, killed at every point of the loop that learns from endings: the money that was held
for a send is spent once, whatever of its step is done twice.

What holds it is that offsets are committed last: an ending is read again, and settled by deleting what was held. The
outbox is not needed for a dead letter, which is written again with the record it is of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.support.alone import KILLED, alone, died
from tests.support.deaths import points
from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.rows import attempt, issued
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.verification import shared
from watchword.events.verification_ended import Ending, VerificationEnded

POINTS = points("fraud-outcomes", "decoded", "gathered", "acted", "committed", "published", "offsets_committed")
PRICE = 100
JUNK = b"\xff\x00 not an event"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Deaths:
    """How each life ended, what became of the money (held, spent), and the dead letters by their place."""

    codes: Mapping[str, int | None]
    money: tuple[int, int]
    letters: Mapping[bytes, bytes | None]


async def over(stand: Pipeline, number: int) -> None:
    """A verification that ended after one message, for which money is held, and its ending."""
    ends: dict[str, Any] = {"state": "approved", "ended_at": datetime.now(UTC), "due_at": None}
    about = await issued(stand, number=f"+9198765434{number:02d}", **ends)
    await attempt(stand, about, state="accepted", account="echo-1")
    await stand.connection.execute(
        "INSERT INTO reservations (verification_id, send_no, price_micros, counters, look_at) "
        "VALUES ($1, 1, $2, '{all}', $3)", about.verification_id, PRICE, datetime.now(UTC) + timedelta(days=1),
    )  # fmt: skip
    await stand.connection.execute("UPDATE spending SET held_micros = held_micros + $1", PRICE)
    ended = VerificationEnded(
        **shared(about), state=Ending.APPROVED, reason="right_code", requested_at=datetime.now(UTC)
    )
    await stand.publish(ended, subject=str(about.verification_id))


async def settled(stand: Pipeline) -> bool:
    return bool((await stand.row("SELECT NOT EXISTS (SELECT FROM reservations) AS done"))["done"])


@pytest_asyncio.fixture(scope="module")
async def deaths(lasting_stand: Pipeline) -> Deaths:
    """One life after another, each brought to its point by an ending and by a record that nobody can read: only its
    dead letter makes this loop publish."""
    stand, codes = lasting_stand, dict[str, int | None]()
    await stand.connection.execute(
        "INSERT INTO spending (counter, cap, span, ends_at, limit_micros) VALUES ('all', 'all', 'day', $1, 1000000)",
        datetime.now(UTC) + timedelta(days=1),
    )
    for number, point in enumerate(POINTS):
        await over(stand, number)
        await stand.publish_raw(topics.LIFECYCLE, b"junk", JUNK, [("ce_type", b"otp.verification-ended.v1")])
        async with alone(stand, "fraud", point=point) as process:
            codes[point] = await died(process)
    async with alone(stand, "fraud"), stand.running("timers"):
        await eventually(partial(settled, stand), within_s=PATIENCE_S, what="all money to be settled")
        await stand.outbox_is_empty()
    money = await stand.row("SELECT held_micros, spent_micros FROM spending")
    buried = await stand.records(topics.dead(topics.LIFECYCLE))
    letters = {dict(each.headers)["wwd_offset"]: each.value for each in buried}
    return Deaths(codes, (money["held_micros"], money["spent_micros"]), letters)


@pytest.mark.parametrize("point", POINTS)
async def test_fraud_dies_while_it_learns_and_money_is_spent_once(deaths: Deaths, point: str) -> None:
    assert deaths.codes[point] == KILLED, f"nothing came to {point}"
    assert deaths.money == (0, len(POINTS) * PRICE)


async def test_what_nobody_could_read_has_its_dead_letters(deaths: Deaths) -> None:
    """As it came, each at its own place however often it was read."""
    assert list(deaths.letters.values()) == [JUNK] * len(deaths.codes)
