"""What dispatch counts of accounts, on a real Postgres under its own role."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import attempt, issued, pool_of, tables
from watchword.dispatch.decide.scoring import VERIFIED_WITHIN
from watchword.dispatch.scores import Scores
from watchword.kernel.tenancy import Choosing, Route
from watchword.runtime.configuration import Configuration
from watchword.runtime.postgres import Pool

SCORED = Route(id="all", country="*", accounts=["north"], choice=Choosing.SCORED)
IN_TIME, LATE = timedelta(seconds=20), VERIFIED_WITHIN + timedelta(seconds=1)


class Moment:
    """A clock that is set."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@dataclass
class Applied:
    """A configuration that stands."""

    routes: tuple[Route, ...]

    def current(self) -> Configuration:
        return Configuration(routes=self.routes)


@dataclass
class Counting:
    """Verifications that began at `began`, and processes of dispatch that count them."""

    stand: Pipeline
    pool: Pool
    began: datetime
    clock: Moment

    async def ended(self, state: str, after: timedelta | None, *accounts: str, **columns: Any) -> None:
        """One verification that was tried by `accounts`, one send each, and came to `state`."""
        told: dict[str, Any] = {"state": state, "created_at": self.began} | columns
        if after is not None:
            told["ended_at"] = self.began + after
        about = await issued(self.stand, id=_born(self.began), **told)
        for number, account in enumerate(accounts, start=1):
            identity = await attempt(self.stand, about, send_no=number, try_no=1)
            await self.stand.connection.execute(
                "UPDATE attempts SET state = 'accepted', account = $2, claimed_at = $3 WHERE id = $1",
                identity, account, self.began + timedelta(seconds=10 * number),
            )  # fmt: skip

    def process(self, *routes: Route) -> Scores:
        return Scores(self.pool, Applied(routes), self.clock)


def _born(at: datetime) -> UUID:
    drawn = UUID(str(uuid7()))
    return UUID(int=int(at.timestamp() * 1000) << 80 | drawn.int & (1 << 80) - 1)


@pytest_asyncio.fixture
async def counting(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Counting]:
    began = datetime.now(UTC) - timedelta(minutes=10)
    async with tables(database.dsn, tmp_path) as stand, pool_of("dispatch", database.dsn) as pool:
        await stand.connection.execute("UPDATE account_scores_counted SET until_at = $1", began - timedelta(seconds=1))
        yield Counting(stand, pool, began, Moment(began + timedelta(minutes=3)))


async def test_codes_typed_in_time_are_counted_for_the_account_that_carried_the_last(counting: Counting) -> None:
    await counting.ended("approved", IN_TIME, "north")
    await counting.ended("approved", timedelta(seconds=25), "north", "south")
    await counting.ended("approved", timedelta(seconds=15), "south", "north")  # typed in before the second was sent
    await counting.ended("approved", LATE, "north")
    await counting.ended("expired", timedelta(seconds=300), "north")
    await counting.ended("issued", None, "south", country="GB")
    for state in ("cancelled", "locked", "blocked", "failed"):
        await counting.ended(state, IN_TIME, "north")
    for state in ("approved", "expired"):  # what fraud objected to, and only watched
        await counting.ended(state, IN_TIME, "north", flagged=True)
    process = counting.process(SCORED)
    await process.turn()
    counting.clock.at = counting.began + timedelta(seconds=59)  # what was counted has not faded yet
    assert process.of("north", "IN") == (1, 3)
    assert process.of("south", "IN") == (2, 0)
    assert (process.of("south", "GB"), process.of("north", "GB")) == ((0, 1), (0, 0))


async def test_a_verification_is_counted_once_however_many_count_and_start_anew(counting: Counting) -> None:
    await counting.ended("approved", IN_TIME, "north")
    for _ in range(3):
        await counting.process(SCORED).turn()
    late = counting.process(SCORED)
    await late.turn()
    assert late.of("north", "IN")[0] == pytest.approx(0.5 ** (121 / 900), abs=0.01)


async def test_who_finds_another_one_counting_reads_and_goes_on(counting: Counting) -> None:
    await counting.ended("approved", IN_TIME, "north")
    process = counting.process(SCORED)
    async with counting.pool.acquire() as other, other.transaction():
        await other.fetch("SELECT until_at FROM account_scores_counted FOR UPDATE")
        await process.turn()
        assert process.of("north", "IN") == (0, 0)
    await process.turn()
    assert process.of("north", "IN")[0] > 0


async def test_nothing_is_counted_where_no_route_asks(counting: Counting) -> None:
    await counting.ended("approved", IN_TIME, "north")
    process = counting.process(Route(id="all", country="*", accounts=["north"]))
    await process.turn()
    assert await counting.stand.connection.fetchval("SELECT count(*) FROM account_scores") == 0
