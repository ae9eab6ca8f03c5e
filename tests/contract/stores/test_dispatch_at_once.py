"""Results the shorter way (runtime/at_once.py): rows and events are those of the usual way, whoever lost the lease
writes nothing, and what moved since the claim is written under locks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from msgspec import structs

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued, pool_of, silent_teller, somebody_waits
from tests.support.sends import CAN_BE_TRACED, NORTH, SOUTH, called, routing
from tests.support.sends import attempt as claimed_as
from watchword.dispatch.decide.approach import IT_LEFT, RECEIPT_CAME
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Attempt, Came
from watchword.dispatch.decide.tell import Conclusion
from watchword.dispatch.ledger import Ledger
from watchword.dispatch.store import SQL, Ask, Store, concluded_at_once
from watchword.events import topics
from watchword.events.verification import Facts
from watchword.gateways.outcome import OutcomeClass as Kind
from watchword.runtime import acting, at_once, outbox
from watchword.runtime.acting import Cause, Told
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, Pool

NOW = datetime.now(UTC)
CAUSE = Cause("cause", "correlation")
LAST_WORDS: list[Came] = [
    called(Kind.ACCEPTED, provider_id="p1", raw_code="202", price_micros=7, currency="EUR"),
    called(Kind.ACCEPTED),
    IT_LEFT,
    RECEIPT_CAME,
    called(Kind.AMBIGUOUS, raw_code="timeout"),
]
TABLES = (
    "SELECT id, state, outcome, raw_code, provider_id, price_micros, currency, latency_ms, segments, receipt_due_at, "
    "possible_duplicate, receipt_ask_at, hedge_at, feedback_at, lease_until, owner, concluded_at IS NULL AS open "
    "FROM attempts ORDER BY id",
    "SELECT id, state, seq, due_at FROM verifications ORDER BY id",
    "SELECT id, look_at > now() + interval '1 minute' AS asleep FROM receipts_parked ORDER BY id",
)

# Of a message that it took every later look is owed, and one of unknown end stays so.
HOLDS = replace(NORTH, on_unknown="hold", feedback=True)
ROUTE = structs.replace(routing(HOLDS, SOUTH), hedge_after_s=15)

Way = Callable[[Connection, Conclusion], Awaitable[list[Told]]]


@dataclass
class Sends:
    """A database, and an owner of dispatch that works on it."""

    stand: Pipeline
    pool: Pool
    store: Store

    async def claimed(self, about: Facts, **columns: Any) -> tuple[Attempt, int]:
        """An attempt of ours, as decisions see it, and the number of its verification's newest event."""
        identity = await attempt(self.stand, about, **columns)
        [claim] = await self.store.claim([Ask(identity, 0, "north", "echo")])
        assert claim is not None
        ours = claimed_as(
            about=about,
            id=identity,
            try_no=claim.try_no,
            send_deadline=claim.send_deadline,
            first_try_at=claim.claimed_at,
            owner="me",
            account=HOLDS,
            abilities=CAN_BE_TRACED,
        )
        return ours, claim.seq

    async def usual_way(self, connection: Connection, conclusion: Conclusion) -> list[Told]:
        return (await self.store.conclude(connection, [(CAUSE, conclusion)]))[0]

    async def outcome(self, way: Way, conclusion: Conclusion) -> tuple[list[Told], list[list[dict[str, Any]]]]:
        """The events a way tells and the rows it leaves; all of it is taken back."""
        async with self.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                told = await way(connection, conclusion)
                return told, [[dict(row) for row in await connection.fetch(sql)] for sql in TABLES]
            finally:
                await transaction.rollback()

    async def verification(self) -> tuple[Any, ...]:
        return tuple(await self.stand.row("SELECT state, seq FROM verifications"))


@pytest_asyncio.fixture
async def sends(stand: Pipeline) -> AsyncIterator[Sends]:
    async with pool_of("dispatch", stand.dsn) as pool:
        yield Sends(stand, pool, Store(pool, "me"))


@pytest_asyncio.fixture
async def ledger(sends: Sends) -> AsyncIterator[Ledger]:
    """Its events stay in the outbox: there is nobody to publish to."""
    clock = DatabaseClock(sends.pool)
    await clock.refresh()
    made = Ledger(sends.store, sends.pool, silent_teller("dispatch", sends.pool), clock)
    await made.start()
    yield made
    await made.stop()


def ended(case: Attempt, came: Came) -> Conclusion:
    """What it came to: nothing follows, but that somebody may look at it later."""
    return conclude(case, came, ROUTE, datetime.now(UTC))


async def written(connection: Connection, conclusion: Conclusion, seq: int) -> list[Told]:
    move = concluded_at_once(CAUSE, conclusion, seq)
    assert move is not None
    rows = {move.verification: [acting.outbox_row(each, "dispatch", NOW) for each in move.told]}
    done = await at_once.write(connection, SQL["conclude_at_once"], [move], rows, ())
    return [*move.told] if move.verification in done else []


async def park(stand: Pipeline, provider_id: str, account: str = "north") -> None:
    await stand.connection.execute(
        "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until, look_at) "
        "VALUES ($1 || $2, $1, '', $2, '', now() + interval '15 minutes', now() + interval '5 minutes')",
        account, provider_id,
    )  # fmt: skip


@pytest.mark.parametrize("receipt", [(None, 0), ("unknown", 40), ("delivered_implied", 80), ("delivered", 90)])
async def test_either_way_a_result_comes_to_the_same_rows_and_events(
    sends: Sends, receipt: tuple[str | None, int]
) -> None:
    for provider_id, account in (("p1", "north"), ("p2", "north"), ("p1", "south"), ("", "north")):
        await park(sends.stand, provider_id, account)
    known: dict[str, Any] = {"receipt_state": receipt[0], "receipt_rank": receipt[1], "provider_id": "p0"}
    case, seq = await sends.claimed(await issued(sends.stand), **known)

    async def shorter_way(connection: Connection, conclusion: Conclusion) -> list[Told]:
        return await written(connection, conclusion, seq)

    for came in LAST_WORDS:
        conclusion = ended(case, came)
        usual = await sends.outcome(sends.usual_way, conclusion)
        assert [each.sequence for each in usual[0]] == [4]
        assert await sends.outcome(shorter_way, conclusion) == usual


@pytest.mark.parametrize("change", ["owner = 'other'", "recovery = 1", "state = 'queued'", "state = 'unknown'"])
async def test_whoever_lost_the_lease_writes_nothing_and_tells_nothing(sends: Sends, change: str) -> None:
    """Though nothing was told of it since; and no number is skipped."""
    case, seq = await sends.claimed(await issued(sends.stand))
    await park(sends.stand, "p1")
    await sends.stand.connection.execute(f"UPDATE attempts SET {change}")
    async with sends.pool.acquire() as connection:
        before = [await connection.fetch(sql) for sql in TABLES]
        for came in LAST_WORDS:
            assert await written(connection, ended(case, came), seq) == []
        assert [await connection.fetch(sql) for sql in TABLES] == before
    assert await told_ids(sends.stand) == []


async def test_what_something_follows_goes_the_usual_way(sends: Sends) -> None:
    """Another try, at once or later, or the end of the verification."""
    case, seq = await sends.claimed(await issued(sends.stand))
    for account in (NORTH, SOUTH):
        for kind in (Kind.TEMPORARY, Kind.DESTINATION, Kind.AMBIGUOUS):
            conclusion = conclude(
                structs.replace(case, account=NORTH), called(kind), routing(account), datetime.now(UTC)
            )
            assert concluded_at_once(CAUSE, conclusion, seq) is None


async def told_ids(stand: Pipeline) -> list[UUID]:
    return [row["id"] for row in await stand.connection.fetch("SELECT id FROM outbox ORDER BY id")]


async def test_a_result_of_what_a_report_moved_since_the_claim_is_written_once_under_the_next_number(
    sends: Sends, ledger: Ledger
) -> None:
    case, seq = await sends.claimed(await issued(sends.stand))
    await sends.stand.connection.execute("UPDATE verifications SET seq = seq + 1")
    recorded = await ledger.record(CAUSE, ended(case, called(Kind.ACCEPTED)), seq)
    assert (recorded.ours, await sends.verification()) == (True, ("issued", 5))
    again = await ledger.record(CAUSE, ended(case, called(Kind.ACCEPTED)), seq)
    assert (again.ours, await sends.verification()) == (False, ("issued", 5))
    told = await sends.stand.row("SELECT headers FROM outbox")
    assert dict(outbox.unpack(told["headers"]))["ce_sequence"] == b"5"


async def test_results_that_end_together_are_ours_or_not_each_by_itself(sends: Sends, ledger: Ledger) -> None:
    """One was taken over by another process, of one a report came in between; they share a batch."""
    numbers = [f"+9198765432{number:02}" for number in range(6)]
    cases = [await sends.claimed(await issued(sends.stand, number=number)) for number in numbers]
    lost, moved = cases[1][0], cases[3][0]
    await sends.stand.connection.execute("UPDATE attempts SET owner = 'other' WHERE id = $1", lost.id)
    await sends.stand.connection.execute(
        "UPDATE verifications SET seq = seq + 1 WHERE id = $1", moved.about.verification_id
    )
    recorded = await asyncio.gather(
        *(ledger.record(CAUSE, ended(case, called(Kind.ACCEPTED)), seq) for case, seq in cases)
    )
    assert [each.ours for each in recorded] == [True, False, True, True, True, True]
    assert len(await told_ids(sends.stand)) == 5
    rows = await sends.stand.connection.fetch("SELECT verification_id, state FROM attempts WHERE state <> 'accepted'")
    assert [(row["verification_id"], row["state"]) for row in rows] == [(lost.about.verification_id, "sending")]


async def test_requests_that_are_postponed_together_share_one_transaction(sends: Sends, ledger: Ledger) -> None:
    rows = [OutboxRow(uuid4(), topics.RETRY_5S, b"key", b"{}", ()) for _ in range(6)]
    published = await asyncio.gather(*(ledger.tell(row) for row in rows))
    assert await told_ids(sends.stand) == sorted(row.id for row in rows)
    assert await sends.stand.connection.fetchval("SELECT count(DISTINCT xmin::text) FROM outbox") == 1
    assert len({id(each) for each in published}) == 1, "and are published together"


async def test_a_lease_that_is_lost_while_the_result_waits_for_a_lock_writes_nothing(sends: Sends) -> None:
    """The statement looks again at what it waited for."""
    case, seq = await sends.claimed(await issued(sends.stand), send_deadline=NOW + timedelta(seconds=60))
    async with sends.pool.acquire() as connection:
        async with sends.stand.connection.transaction():
            await sends.stand.connection.execute("UPDATE attempts SET owner = 'other', recovery = 1")
            waiting = asyncio.create_task(written(connection, ended(case, called(Kind.ACCEPTED)), seq))
            await somebody_waits(sends.stand)
        assert await waiting == []
    assert await sends.verification() == ("issued", 3)
    assert await told_ids(sends.stand) == []
