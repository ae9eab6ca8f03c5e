"""What dispatch claims and writes, on a real Postgres under its own role."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from msgspec import structs

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import attempt, issued, pool_of, tables
from tests.support.sends import DEDUPES, NORTH, SOUTH, called, routing
from tests.support.sends import attempt as claimed_as
from watchword.dispatch.decide.approach import IT_LEFT, TOO_LATE
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Attempt, Came, Routing
from watchword.dispatch.store import SQL, Ask, Claim, Store
from watchword.events.verification import Facts
from watchword.gateways.outcome import OutcomeClass as Kind
from watchword.kernel.ids import attempt_id
from watchword.kernel.verification import ENDED
from watchword.runtime.acting import Cause
from watchword.runtime.postgres import Pool

BOTH = routing(NORTH, SOUTH)
PAST = datetime.now(UTC) - timedelta(seconds=1)
BUSY = called(Kind.TEMPORARY)


@dataclass
class Rows:
    """Rows on a database, and two owners of dispatch that work on them."""

    stand: Pipeline
    me: Store
    other: Store
    pool: Pool

    async def row(self, identity: UUID) -> asyncpg.Record:
        return await self.stand.row("SELECT * FROM attempts WHERE id = $1", identity)

    async def verification(self) -> tuple[Any, ...]:
        return tuple((await self.stand.row("SELECT state, end_reason, seq FROM verifications"))[:])

    async def end(self, about: Facts, state: str = "cancelled") -> None:
        await self.stand.connection.execute(
            "UPDATE verifications SET state = $2, ended_at = clock_timestamp() WHERE id = $1",
            about.verification_id,
            state,
        )

    async def ours(self, about: Facts, store: Store | None = None, **columns: Any) -> Attempt:
        """An attempt that is claimed, as decisions see it."""
        identity = await attempt(self.stand, about, **columns)
        store = store or self.me
        claim = await one(store, identity, recovery=columns.get("recovery", 0))
        assert claim is not None
        return claimed_as(
            about=claim.about,
            id=identity,
            send_no=claim.send_no,
            try_no=claim.try_no,
            recovery=claim.recovery,
            send_deadline=claim.send_deadline,
            first_try_at=claim.claimed_at,
            requested_at=claim.requested_at,
            owner=store.owner,
            live=claim.live,
        )

    async def conclude(self, case: Attempt, came: Came, route: Routing = BOTH) -> tuple[list[tuple[str, int]], int]:
        """Write what `case` came to: the events told with their numbers, and how many follow at once."""
        conclusion = conclude(case, came, route, datetime.now(UTC))
        async with self.pool.acquire() as connection, connection.transaction():
            told, following = await self.me.conclude(connection, [(Cause(), conclusion)])
        return [(each.emit.event.NAME, each.sequence) for each in told], len(following)


@pytest_asyncio.fixture
async def rows(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Rows]:
    async with tables(database.dsn, tmp_path) as stand, pool_of("dispatch", stand.dsn) as pool:
        yield Rows(stand, Store(pool, "me"), Store(pool, "other"), pool)


async def one(store: Store, identity: UUID, *, recovery: int = 0, account: str = "north") -> Claim | None:
    return (await store.claim([Ask(identity, recovery, account, "echo")]))[0]


async def test_a_claim_takes_a_queued_attempt_and_brings_all_that_sending_needs(rows: Rows) -> None:
    about = await issued(rows.stand, signals='{"platform": "ios"}', checks_used=2)
    claim = await one(rows.me, await attempt(rows.stand, about))
    assert claim is not None
    assert (claim.about, claim.live, claim.settled, claim.checks_used) == (about, True, False, 2)
    assert claim.signals.platform == "ios"
    assert claim.sealed.message == b"" and claim.sealed.wrapped_key and claim.sealed.number
    row = await rows.row(claim.attempt_id)
    assert (row["state"], row["owner"], row["account"], row["gateway"]) == ("sending", "me", "north", "echo")
    lease = row["lease_until"] - datetime.now(UTC)
    assert timedelta(seconds=10) < lease <= timedelta(seconds=15.1)


async def test_of_two_owners_that_claim_the_same_attempts_each_is_taken_by_one(rows: Rows) -> None:
    about = await issued(rows.stand)
    asks = [Ask(await attempt(rows.stand, about, try_no=number), 0, "north", "echo") for number in range(1, 41)]
    mine, others = await asyncio.gather(rows.me.claim(asks), rows.other.claim(list(reversed(asks))))
    taken = [claim.attempt_id for claim in (*mine, *others) if claim is not None]
    assert len(taken) == len(set(taken)) == 40


async def test_a_claim_is_not_taken_twice(rows: Rows) -> None:
    identity = await attempt(rows.stand, await issued(rows.stand))
    assert await one(rows.me, identity) is not None
    assert await one(rows.me, identity) is None
    assert await one(rows.other, identity) is None


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_an_attempt_of_an_ended_verification_is_not_claimed(rows: Rows, state: str) -> None:
    about = await issued(rows.stand)
    identity = await attempt(rows.stand, about)
    await rows.end(about, state)
    assert await one(rows.me, identity) is None


async def test_a_code_for_which_no_check_is_left_is_not_sent(rows: Rows) -> None:
    about = await issued(rows.stand, checks_used=5, checks_max=5)
    assert await one(rows.me, await attempt(rows.stand, about)) is None
    lost = await attempt(rows.stand, about, send_no=2, recovery=1, account="north")
    claim = await one(rows.me, lost, recovery=1)
    assert claim is not None and not claim.live, "what may have left is found out about, and not sent again"


async def test_a_code_that_a_newer_one_has_replaced_is_claimed_to_be_skipped(rows: Rows) -> None:
    about = await issued(rows.stand, code_version=2, sends_requested=2)
    older = await one(rows.me, await attempt(rows.stand, about))
    newer = await one(rows.me, await attempt(rows.stand, about, send_no=2, code_version=2))
    assert older is not None and not older.live
    assert newer is not None and newer.live


@pytest.mark.parametrize("route", [BOTH, routing(NORTH)])
async def test_nothing_follows_once_no_check_is_left(rows: Rows, route: Routing) -> None:
    case = await rows.ours(await issued(rows.stand))
    await rows.stand.connection.execute("UPDATE verifications SET checks_used = checks_max")
    assert await rows.conclude(case, BUSY, route) == ([("attempt-made", 4)], 0)
    assert await rows.stand.connection.fetchval("SELECT count(*) FROM attempts") == 1


async def test_an_attempt_that_is_too_late_is_claimed_to_be_skipped(rows: Rows) -> None:
    about = await issued(rows.stand)
    identity = await attempt(rows.stand, about, send_deadline=PAST)
    await rows.end(about)
    claim = await one(rows.me, identity)
    assert claim is not None and not claim.live


async def test_an_attempt_that_was_claimed_before_is_claimed_whatever_became_of_its_verification(rows: Rows) -> None:
    about = await issued(rows.stand)
    identity = await attempt(rows.stand, about, recovery=1, account="south", gateway="echo")
    await rows.end(about)
    assert await one(rows.me, identity, recovery=0) is None, "an older request must not take it up"
    claim = await one(rows.me, identity, recovery=1, account="")
    assert claim is not None and not claim.live
    assert (await rows.row(identity))["account"] == "south"


@pytest.mark.parametrize(
    ("state", "receipt", "settled"),
    [
        ("unknown", None, False), ("unknown", "delivered", True), ("accepted", None, True),
        ("accepted", "enroute", True), ("accepted", "undelivered", False), ("deferred", None, False),
    ],
)  # fmt: skip
async def test_a_later_try_learns_of_a_receipt_for_an_earlier_one(
    rows: Rows, state: str, receipt: str | None, settled: bool
) -> None:
    about = await issued(rows.stand)
    await attempt(rows.stand, about, state=state, receipt_state=receipt)
    claim = await one(rows.me, await attempt(rows.stand, about, try_no=2))
    assert claim is not None and claim.settled is settled


async def test_a_receipt_that_came_before_the_result_is_seen_and_its_reference_is_kept(rows: Rows) -> None:
    about = await issued(rows.stand)
    received: dict[str, Any] = {"receipt_state": "delivered", "receipt_rank": 90, "provider_id": "p9"}
    identity = await attempt(rows.stand, about, recovery=1, account="north", **received)
    claim = await one(rows.me, identity, recovery=1)
    assert claim is not None and claim.received
    case = claimed_as(about=about, id=identity, recovery=1, owner="me", called_before=True, received=True)
    await rows.conclude(case, IT_LEFT)
    row = await rows.row(identity)
    assert (row["state"], row["provider_id"], row["receipt_state"]) == ("accepted", "p9", "delivered")


async def test_the_tries_of_a_send_are_read_in_order_and_those_of_others_are_not(rows: Rows) -> None:
    about = await issued(rows.stand)
    await attempt(rows.stand, about, try_no=2, account="south", state="sending")
    await attempt(rows.stand, about, account="north", state="deferred", outcome="throttled")
    await attempt(rows.stand, about, send_no=2, account="east")
    tries = await rows.me.tries([(about.verification_id, 1), (about.verification_id, 7)])
    [(key, found)] = tries.items()
    assert key == (about.verification_id, 1)
    assert [(each.try_no, each.account, each.state, each.outcome) for each in found] == [
        (1, "north", "deferred", "throttled"), (2, "south", "sending", "")]  # fmt: skip


async def test_a_result_is_written_once(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand))
    accepted = called(Kind.ACCEPTED, provider_id="p1", raw_code="202")
    assert await rows.conclude(case, accepted) == ([("attempt-made", 4)], 0)
    assert await rows.conclude(case, accepted) == ([], 0)
    row = await rows.row(case.id)
    assert (row["state"], row["provider_id"], row["raw_code"], row["latency_ms"], row["price_micros"]) == (
        "accepted", "p1", "202", 12, 100)  # fmt: skip
    assert row["lease_until"] is None and row["concluded_at"] is not None


async def test_a_report_that_was_early_is_looked_at_once_its_message_has_the_providers_id(rows: Rows) -> None:
    for provider_id in ("p1", "p2"):
        await rows.stand.connection.execute(
            "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until, look_at) "
            "SELECT $1, 'north', '', $1, '', now() + interval '15 minutes', now() + interval '5 minutes'",
            provider_id,
        )
    case = await rows.ours(await issued(rows.stand))
    await rows.conclude(case, called(Kind.ACCEPTED, provider_id="p1"))
    due = await rows.stand.connection.fetch(
        "SELECT provider_id FROM receipts_parked WHERE look_at <= clock_timestamp()"
    )
    assert [row["provider_id"] for row in due] == ["p1"]


@pytest.mark.parametrize("change", ["owner = 'other'", "recovery = 1", "state = 'queued'"])
@pytest.mark.parametrize("came", [called(Kind.ACCEPTED), called(Kind.DESTINATION), called(Kind.AMBIGUOUS), BUSY])
async def test_whoever_lost_the_lease_changes_nothing(rows: Rows, change: str, came: Came) -> None:
    case = await rows.ours(await issued(rows.stand))
    await rows.stand.connection.execute(f"UPDATE attempts SET {change}")
    before = tuple(await rows.row(case.id))
    assert await rows.conclude(structs.replace(case, abilities=DEDUPES), came) == ([], 0)
    assert tuple(await rows.row(case.id)) == before
    assert await rows.verification() == ("issued", "", 3)
    assert await rows.stand.connection.fetchval("SELECT count(*) FROM attempts") == 1


@pytest.mark.parametrize(
    ("ended", "came", "route"),
    [
        ("state = 'unknown', owner = 'other'", BUSY, routing(NORTH)),
        ("state = 'unknown', recovery = 1", called(Kind.AMBIGUOUS), BOTH),
        ("state = 'deferred', recovery = 1", BUSY, BOTH),
    ],
)
async def test_a_user_gets_no_third_message_from_a_process_that_froze_in_the_call_of_the_second(
    rows: Rows, ended: str, came: Came, route: Routing
) -> None:
    """Its successor has ended the try and queued nothing: two may have left, or the account holds what is unknown."""
    case = await rows.ours(await issued(rows.stand), try_no=2)
    await rows.stand.connection.execute(f"UPDATE attempts SET {ended}")
    assert await rows.conclude(case, came, route) == ([], 0)
    assert await rows.verification() == ("issued", "", 3)
    assert await rows.stand.connection.fetchval("SELECT count(*) FROM attempts") == 1


async def test_the_try_that_follows_at_once_is_claimed_with_the_result(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand))
    assert await rows.conclude(case, BUSY) == ([("attempt-made", 4)], 1)
    row = await rows.row(attempt_id(case.about.verification_id, 1, 2))
    assert (row["state"], row["owner"], row["account"], row["try_no"]) == ("sending", "me", "south", 2)
    assert row["lease_until"] > datetime.now(UTC) + timedelta(seconds=10)


async def test_a_retry_is_queued_and_told_after_the_attempt_it_follows(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand))
    assert await rows.conclude(case, BUSY, routing(NORTH)) == ([("attempt-made", 4), ("send-requested", 5)], 0)
    row = await rows.row(attempt_id(case.about.verification_id, 1, 2))
    assert (row["state"], row["owner"], row["code_version"]) == ("queued", "", 1)


@pytest.mark.parametrize("route", [BOTH, routing(NORTH)])
async def test_nothing_follows_once_the_verification_has_ended(rows: Rows, route: Routing) -> None:
    case = await rows.ours(await issued(rows.stand))
    await rows.end(case.about)
    assert await rows.conclude(case, BUSY, route) == ([("attempt-made", 4)], 0)
    assert await rows.stand.connection.fetchval("SELECT count(*) FROM attempts") == 1


async def test_a_lost_call_goes_back_into_the_queue_and_keeps_its_account(rows: Rows) -> None:
    case = structs.replace(await rows.ours(await issued(rows.stand)), abilities=DEDUPES)
    assert await rows.conclude(case, called(Kind.AMBIGUOUS)) == ([("send-requested", 4)], 0)
    row = await rows.row(case.id)
    assert (row["state"], row["recovery"], row["account"], row["owner"]) == ("queued", 1, "north", "")
    assert await rows.conclude(case, called(Kind.AMBIGUOUS)) == ([], 0)


async def test_a_verification_of_which_nothing_left_fails(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand))
    told, _ = await rows.conclude(case, called(Kind.DESTINATION))
    assert told == [("attempt-made", 4), ("verification-ended", 5)]
    assert await rows.verification() == ("failed", "destination_rejected", 5)


async def test_a_verification_whose_message_was_skipped_fails(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand), send_deadline=datetime.now(UTC) + timedelta(seconds=5))
    await rows.conclude(case, TOO_LATE)
    assert (await rows.verification())[:2] == ("failed", "too_late")


@pytest.mark.parametrize("state", ["accepted", "unknown", "sending", "queued"])
async def test_a_verification_of_which_something_left_or_may_yet_does_not_fail(rows: Rows, state: str) -> None:
    about = await issued(rows.stand, sends_requested=2)
    await attempt(rows.stand, about, state=state)
    case = await rows.ours(about, send_no=2)
    told, _ = await rows.conclude(case, called(Kind.DESTINATION))
    assert told == [("attempt-made", 4)]
    assert await rows.verification() == ("issued", "", 4)


async def test_a_verification_does_not_fail_while_a_resend_is_on_its_way(rows: Rows) -> None:
    case = await rows.ours(await issued(rows.stand, sends_requested=2))
    await rows.conclude(case, called(Kind.DESTINATION))
    assert await rows.verification() == ("issued", "", 4)


async def test_results_of_many_verifications_are_written_together_each_with_its_own_number(rows: Rows) -> None:
    numbers = [f"+9198765432{number:02d}" for number in range(20)]
    cases = [await rows.ours(await issued(rows.stand, number=number)) for number in numbers]
    kinds = [Kind.ACCEPTED, Kind.DESTINATION, Kind.TEMPORARY, Kind.AMBIGUOUS] * 5
    endings = [
        (Cause(), conclude(case, called(kind), BOTH, datetime.now(UTC)))
        for case, kind in zip(cases, kinds, strict=True)
    ]
    async with rows.pool.acquire() as connection, connection.transaction():
        told, following = await rows.me.conclude(connection, endings)
    assert len(following) == 5
    assert sorted(each.sequence for each in told) == [4] * 20 + [5] * 10
    gaps = await rows.stand.connection.fetchval("SELECT count(*) FROM verifications WHERE seq NOT IN (4, 5)")
    assert gaps == 0


async def test_a_silent_attempt_is_due_once_and_gets_one_try_beside_it(rows: Rows) -> None:
    about = await issued(rows.stand, sends_requested=1)
    first = await attempt(rows.stand, about, state="accepted", account="north", hedge_at=PAST)
    async with rows.pool.acquire() as connection:
        [due] = await connection.fetch(SQL["to_hedge"], 10)
        assert (due["attempt_id"], due["live"], due["receipt"]) == (first, True, "")
        assert await connection.fetch(SQL["to_hedge"], 10) == []
        assert await _beside(connection, about, first) == 1
        assert await _beside(connection, about, first) == 0, "a repeat changes nothing"
    tries = (await rows.me.tries([(about.verification_id, 1)]))[about.verification_id, 1]
    assert [(each.try_no, each.hedges) for each in tries] == [(1, False), (2, True)]
    claim = await one(rows.me, attempt_id(about.verification_id, 1, 2), account="south")
    assert claim is not None and claim.hedges
    assert not claim.settled, "that the first one was accepted is why this one is made"


@pytest.mark.parametrize("change", ["receipt", "asked again", "over", "no check left"])
async def test_no_try_is_queued_beside_what_needs_none(rows: Rows, change: str) -> None:
    about = await issued(rows.stand, sends_requested=2 if change == "asked again" else 1)
    known: dict[str, Any] = {"receipt_state": "delivered", "receipt_rank": 90} if change == "receipt" else {}
    first = await attempt(rows.stand, about, state="accepted", account="north", **known)
    if change == "over":
        await rows.end(about)
    if change == "no check left":
        await rows.stand.connection.execute("UPDATE verifications SET checks_used = checks_max")
    async with rows.pool.acquire() as connection:
        assert await _beside(connection, about, first) == 0


async def test_a_receipt_in_the_meantime_settles_a_hedge(rows: Rows) -> None:
    about = await issued(rows.stand)
    await attempt(rows.stand, about, state="accepted", receipt_state="delivered", receipt_rank=90)
    claim = await one(rows.me, await attempt(rows.stand, about, try_no=2, hedges=True))
    assert claim is not None and claim.settled


async def _beside(connection: Any, about: Facts, first: UUID) -> int:
    beside = attempt_id(about.verification_id, 1, 2)
    columns = (
        [beside],
        [1],
        [first],
        [about.verification_id],
        [1],
        [2],
        [1],
        [datetime.now(UTC) + timedelta(minutes=2)],
    )
    return len(await connection.fetch(SQL["queue_hedge"], *columns))
