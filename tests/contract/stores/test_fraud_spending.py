"""Money on a real Postgres under fraud's own role, several workers at once: caps are exact, what is held comes back."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import attempt, pool_of, tables
from watchword.events.verification import Facts, shared
from watchword.events.verification_assessed import Action, ModeReason, VerificationAssessed
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide.assess import Asked, decide
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.metrics import SpendingMetrics
from watchword.fraud.purchases import Spending, purchases
from watchword.fraud.seasons import Seasons
from watchword.kernel.spending import Cap
from watchword.kernel.tenancy import FraudMode, Tenant
from watchword.kernel.verdict import Done
from watchword.kernel.verification import State
from watchword.runtime import acting
from watchword.runtime.acting import Cause
from watchword.runtime.configuration import Configuration
from watchword.runtime.metrics import Metrics
from watchword.runtime.postgres import Pool, columns, statements

SQL = statements("watchword.fraud")
WRITES = {name: SQL[name] for name in ("assess", "reserve", "count_refused")}
PRICE = 100
CAPS = (
    Cap(id="all", hour_micros=100_000, day_micros=1_000_000),
    Cap(id="country", each="country", hour_micros=17 * PRICE),
    Cap(id="shop", tenant="shop", day_micros=40 * PRICE + 1),
)
CONFIGURATION = Configuration(caps=CAPS, prices_micros={"*": PRICE})


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def workers(stand: Pipeline) -> AsyncIterator[list[Pool]]:
    """Three, as three processes would have them."""
    async with AsyncExitStack() as pools:
        yield [await pools.enter_async_context(pool_of("fraud", stand.dsn)) for _ in range(3)]


async def assess(
    pool: Pool, about: Sequence[Facts], configuration: Configuration = CONFIGURATION
) -> list[VerificationAssessed]:
    """One batch, as the loop carries it out."""
    events = [VerificationRequested(**shared(each), asked_by="web") for each in about]
    now = datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(SQL["facts"], [each.verification_id for each in events])
        assessed = {row["verification_id"]: row["sends_assessed"] for row in rows}
        bought = await purchases(connection, [(str(one.verification_id), one) for one in events], configuration, now)
        done = []
        for event in events:
            purchase = bought.get(str(event.verification_id))
            facts = Asked(
                State.REQUESTED, assessed[event.verification_id], DEFAULT, FraudMode.ENFORCE, purchase=purchase
            )
            verdict = decide(event, facts, now)
            assert isinstance(verdict, Done)
            done.append((Cause(), verdict))
        told = await acting.write(connection, done, WRITES)
    return [each.emit.event for each in told if isinstance(each.emit.event, VerificationAssessed)]


async def verifications(stand: Pipeline, count: int, first: int = 0, **columns: Any) -> list[Facts]:
    return [await stand.verification(number=f"+9198765{n:05d}", **columns) for n in range(first, first + count)]


async def sums(stand: Pipeline, cap: str) -> dict[str, tuple[int, int, int]]:
    """Held, spent and refused by the counter's owner."""
    rows = await stand.connection.fetch("SELECT * FROM spending WHERE cap = $1", cap)
    return {
        row["counter"].split("/")[2]: (row["held_micros"], row["spent_micros"], row["refused"])
        for row in rows
    }  # fmt: skip


async def settle(pool: Pool, about: Sequence[Facts]) -> None:
    rows = sorted((str(each.verification_id), 0) for each in about)
    await pool.fetch(SQL["settle"], *columns(rows, 2))


async def test_batches_of_several_workers_at_once_hold_exactly_what_the_caps_allow(
    stand: Pipeline, workers: list[Pool]
) -> None:
    indian, british = await verifications(stand, 30), await verifications(stand, 30, 30, country="GB")
    mixed = [each for pair in zip(indian, british, strict=True) for each in pair]
    batches = [mixed[start : start + 5] for start in range(0, len(mixed), 5)]
    told = await asyncio.gather(*(assess(workers[n % 3], batch) for n, batch in enumerate(batches)))
    answers = [each for some in told for each in some]
    assert len(answers) == 60
    allowed = dict.fromkeys(("IN", "GB"), 0)
    for each in answers:
        allowed[each.country] += each.action is Action.ALLOW
    assert allowed == {"IN": 17, "GB": 17}
    assert {each.reasons[0].code for each in answers if each.action is Action.BLOCK} == {"cost_cap"}
    assert await sums(stand, "country") == {"IN": (1_700, 0, 13), "GB": (1_700, 0, 13)}
    assert await sums(stand, "shop") == {"-": (3_400, 0, 0)}
    assert await stand.connection.fetchval("SELECT count(*) FROM reservations") == 34


async def test_a_batch_that_is_redone_holds_nothing_twice(stand: Pipeline, workers: list[Pool]) -> None:
    about = await verifications(stand, 3)
    assert len(await assess(workers[0], about)) == 3
    assert await assess(workers[1], about) == []
    assert await sums(stand, "country") == {"IN": (300, 0, 0)}


async def test_what_left_is_spent_and_what_did_not_is_free_again(stand: Pipeline, workers: list[Pool]) -> None:
    sent, long, twice, refused, waiting = about = await verifications(stand, 5)
    await assess(workers[0], about)
    await attempt(stand, sent, state="accepted", segments=1)
    await attempt(stand, long, state="accepted", segments=3)
    await attempt(stand, twice, state="unknown")
    await attempt(stand, twice, try_no=2, state="accepted", segments=1)
    await attempt(stand, refused, state="rejected")
    await attempt(stand, waiting, state="sending")
    await asyncio.gather(*(settle(pool, about) for pool in workers))
    assert await sums(stand, "country") == {"IN": (100, 600, 0)}
    assert await sums(stand, "shop") == {"-": (100, 600, 0)}
    await stand.connection.execute("UPDATE attempts SET state = 'skipped_late' WHERE state = 'sending'")
    await settle(workers[0], about)
    assert await sums(stand, "shop") == {"-": (0, 600, 0)}
    assert await stand.connection.fetchval("SELECT count(*) FROM reservations") == 0


async def test_settling_and_reserving_at_once_never_wait_in_a_circle_and_lose_nothing(
    stand: Pipeline, workers: list[Pool]
) -> None:
    configuration = Configuration(caps=(CAPS[0],), prices_micros={"*": PRICE})
    about = await verifications(stand, 60)
    batches = [about[start : start + 6] for start in range(0, 60, 6)]

    async def life(number: int, batch: list[Facts]) -> None:
        await assess(workers[number % 3], batch, configuration)
        await settle(workers[(number + 1) % 3], batch)

    await asyncio.gather(*(life(number, batch) for number, batch in enumerate(batches)))
    assert await sums(stand, "all") == {"-": (0, 0, 0)}


async def test_what_nobody_settled_is_settled_a_minute_after_its_life(stand: Pipeline, workers: list[Pool]) -> None:
    spending = Spending(workers[0], SpendingMetrics(Metrics()))
    [over] = await verifications(stand, 1, expires_at=datetime.now(UTC) + timedelta(seconds=5))
    [live] = await verifications(stand, 1, 1)
    await assess(workers[0], [over, live])
    await stand.connection.execute("UPDATE reservations SET look_at = now() WHERE verification_id = $1",
                                   over.verification_id)  # fmt: skip
    await spending.settle()
    left = await stand.connection.fetch("SELECT verification_id FROM reservations")
    assert [row["verification_id"] for row in left] == [live.verification_id]
    assert await sums(stand, "country") == {"IN": (100, 0, 0)}


async def test_a_new_tenant_is_counted_by_all_workers_together_and_once_known_by_none(
    stand: Pipeline, workers: list[Pool]
) -> None:
    new = Configuration(tenants={"shop": Tenant(id="shop", countries=[]), "told": Tenant(
        id="told", countries=[], fraud_mode=FraudMode.MONITOR)})  # fmt: skip
    counting = [Seasons() for _ in workers]
    now = datetime.now(UTC)

    async def count(number: int, sends: int) -> Mapping[str, ModeReason]:
        async with workers[number].acquire() as connection, connection.transaction():
            return await counting[number].count(connection, ["shop"] * sends + ["told", "gone"], new, now)

    async def seen() -> list[tuple[str, int]]:
        return [tuple(row) for row in await stand.connection.fetch("SELECT tenant, sends FROM fraud_seasons")]

    assert await asyncio.gather(*(count(number, 3_000) for number in range(3))) == [{}, {}, {}]
    assert await seen() == [("shop", 9_000)]
    assert await count(0, 1_001) == {"shop": ModeReason.SENDS_PASSED}
    assert await count(1, 5) == await count(0, 5) == {"shop": ModeReason.SENDS_PASSED}
    assert await seen() == [("shop", 10_001)]


async def test_every_share_of_a_cap_that_is_passed_is_told_once_whoever_looks(
    stand: Pipeline, workers: list[Pool]
) -> None:
    metrics = [Metrics() for _ in workers]
    watching = [Spending(pool, SpendingMetrics(each)) for pool, each in zip(workers, metrics, strict=True)]

    async def told() -> dict[str, float]:
        await asyncio.gather(*(each.watch() for each in watching))
        name = "watchword_fraud_spending_alarms_total"
        return {
            state: sum(each.value(name, cap="hour:country", state=state) or 0 for each in metrics)
            for state in ("50", "80", "100")
        }

    about = await verifications(stand, 20)
    await assess(workers[0], about[:8])
    assert await told() == {"50": 0, "80": 0, "100": 0}
    await assess(workers[0], about[8:9])
    assert await told() == {"50": 1, "80": 0, "100": 0}
    await assess(workers[1], about[9:17])
    assert await told() == {"50": 1, "80": 1, "100": 1}
    await assess(workers[2], about[17:])
    assert await told() == {"50": 1, "80": 1, "100": 1}
    assert metrics[0].value("watchword_fraud_spending_used_ratio", cap="hour:country") == 1.0
    await stand.connection.execute("UPDATE spending SET ends_at = now()")
    await told()
    assert metrics[0].value("watchword_fraud_spending_used_ratio", cap="hour:country") == 0.0
