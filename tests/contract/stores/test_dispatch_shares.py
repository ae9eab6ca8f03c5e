"""Processes of dispatch share an account's pace on a real Postgres, under its own role."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.postgres import FreshDatabase
from tests.support.rows import pool_of, tables
from watchword.dispatch.shares import Shares
from watchword.gateways.contract import Account
from watchword.runtime.configuration import Configuration
from watchword.runtime.postgres import Pool

LIMIT = 90.0
LEASE_S = 0.6


class Applied:
    """A configuration of one account."""

    def current(self) -> Configuration:
        return Configuration(accounts={"north": Account(id="north", gateway="echo", url="", per_second=LIMIT)})


class Process:
    """One process of dispatch: what it may call `north` a second, and until when."""

    def __init__(self, name: str, pool: Pool, lease_s: float = 60.0) -> None:
        self.using = self.until_s = 0.0
        self.shares = Shares(pool, name, Applied(), self.take, lease_s=lease_s)

    def take(self, per_second: Mapping[str, float], until_s: float) -> None:
        self.using, self.until_s = per_second["north"], until_s


@pytest_asyncio.fixture
async def pool(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pool]:
    async with tables(database.dsn, tmp_path), pool_of("dispatch", database.dsn) as made:
        yield made


async def test_processes_that_turn_at_once_never_use_more_than_the_limit_and_end_with_equal_parts(pool: Pool) -> None:
    processes = [Process(name, pool) for name in "abc"]
    for _ in range(6):
        for turn in asyncio.as_completed([each.shares.turn() for each in processes]):
            await turn
            assert sum(each.using for each in processes) <= LIMIT + 1e-9
    assert [each.using for each in processes] == pytest.approx([LIMIT / 3] * 3)


async def test_a_process_by_itself_has_all_of_it_from_the_start(pool: Pool) -> None:
    alone = Process("a", pool)
    await alone.shares.start()
    assert alone.using == LIMIT
    await alone.shares.stop()
    heir = Process("b", pool)
    await heir.shares.turn()
    assert heir.using == LIMIT


async def test_who_is_killed_leaves_its_part_when_its_lease_is_over_and_not_before(pool: Pool) -> None:
    killed, left = Process("a", pool, LEASE_S), Process("b", pool)
    await killed.shares.turn()
    loop = asyncio.get_running_loop()
    while left.using == 0.0:
        await left.shares.turn()
        assert left.using == 0.0 or loop.time() >= killed.until_s
        await asyncio.sleep(0)
    assert left.using == LIMIT
