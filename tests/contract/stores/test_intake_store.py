"""Every statement of intake on real Postgres, under intake's own role."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.support.postgres import FreshDatabase
from tests.support.requests import NOW, SHOP, standing, start
from watchword.events.verification_ended import VerificationEnded
from watchword.intake import store
from watchword.intake.decide import Found, Ruling, decide_all, limits_for
from watchword.intake.desk import completed
from watchword.intake.limits import Buckets
from watchword.intake.request import Asker, Cancel, Repeat, Request, Resend, Start
from watchword.intake.subjects import Subject, Subjects
from watchword.kernel.instant import to_us
from watchword.kernel.tenancy import Tenant
from watchword.runtime import keyring, outbox
from watchword.runtime.acting import Cause, Told
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, Pool, connect, statements

REPEAT = Repeat("http:k", b"same")


@pytest_asyncio.fixture
async def pool(database: FreshDatabase) -> AsyncIterator[Pool]:
    """Connections as intake has them."""
    async with await connect(database.dsn, worker="intake", connections_max=8) as connections:
        yield connections


@pytest.fixture
def subjects(tmp_path: Path) -> Subjects:
    """Sealing under keys of this test's own."""
    path = tmp_path / "keyring.json"
    keyring.create(path, datetime.now(UTC))
    return Subjects(Keyring.load(path, {Purpose.SUBJECT, Purpose.HANDOVER}))


async def carry_out(
    connection: Connection, subjects: Subjects, requests: list[Request], now: datetime = NOW
) -> tuple[list[Ruling], list[Told]]:
    """One batch, as the desk carries it out, without the outbox."""
    found = [
        replace(each, limits=limits_for(request, each.standing))
        for request, each in zip(requests, await store.hold(connection, requests, subjects.shown), strict=True)
    ]
    tats_us = await store.hold_buckets(connection, {limit.key for each in found for limit in each.limits})
    buckets = Buckets(tats_us, to_us(now))
    rulings = decide_all(list(zip(requests, found, strict=True)), buckets, now)
    begun = [ruling.begun for ruling in rulings if ruling.begun]
    keys = await store.subjects(connection, subjects.new_keys({("shop", each.number_token) for each in begun}))
    done = [
        completed(ruling.done, sealed(subjects, ruling.begun, keys)) if ruling.begun else ruling.done
        for ruling in rulings
    ]
    told = await store.carry_out(connection, [(Cause(), each) for each in done], buckets.changed())
    return rulings, told


def sealed(subjects: Subjects, request: Start, keys: Mapping[Subject, bytes]) -> tuple[bytes, bytes | None]:
    subject = ("shop", request.number_token)
    return subjects.sealed(request, subjects.data_key(keys[subject], subject))


async def held(connection: Connection, subjects: Subjects, request: Request) -> Found:
    [found] = await store.hold(connection, [request], subjects.shown)
    return found


async def test_a_verification_begins_with_its_first_event_and_is_found_again(pool: Pool, subjects: Subjects) -> None:
    request = start(binding={"amount": "12.00"}, binding_hash="abc")
    async with pool.acquire() as connection:
        _, told = await carry_out(connection, subjects, [request])
        assert [(each.emit.event.NAME, each.sequence) for each in told] == [("verification-requested", 1)]
        found = await held(connection, subjects, start())
    assert found.standing is not None
    assert found.standing.about.verification_id == request.verification_id
    assert (found.standing.binding_hash, found.standing.sends_requested) == ("abc", 1)
    assert found.standing.rules == request.rules


async def test_the_masked_number_is_read_back_from_the_sealed_one(pool: Pool, subjects: Subjects) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        found = await held(connection, subjects, Resend(Asker(SHOP), request.verification_id))
        row = await store.read(connection, request.verification_id, "shop")
        assert row is not None
        assert found.standing is not None
        assert subjects.shown(row) == found.standing.shown_number == "+91••••••3210"


async def test_an_erased_number_is_shown_as_nothing(pool: Pool, subjects: Subjects, database: FreshDatabase) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        owner = await asyncpg.connect(database.dsn)
        await owner.execute("DELETE FROM subjects")
        await owner.close()
        row = await store.read(connection, request.verification_id, "shop")
        assert row is not None and subjects.shown(row) == "+••••••"


async def test_a_number_keeps_its_data_key_whoever_begins_first(pool: Pool, subjects: Subjects) -> None:
    subject = ("shop", "token")
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            first = await store.subjects(one, subjects.new_keys([subject]))
            second = asyncio.ensure_future(store.subjects(other, subjects.new_keys([subject])))
            await asyncio.wait({second}, timeout=0.2)
            assert not second.done()
        assert await second == first


async def test_another_tenants_verification_is_not_found(pool: Pool, subjects: Subjects) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        stranger = Tenant(id="other", countries=["IN"])
        found = await held(connection, subjects, Resend(Asker(stranger), request.verification_id))
        assert found.standing is None
        assert await store.read(connection, request.verification_id, "other") is None


async def test_a_resend_counts_once_and_takes_the_next_number(pool: Pool, subjects: Subjects) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        again = Resend(Asker(SHOP), request.verification_id)
        _, told = await carry_out(connection, subjects, [again], NOW + timedelta(seconds=31))
        assert [(each.emit.event.NAME, each.sequence) for each in told] == [("resend-requested", 2)]
        row = await connection.fetchrow("SELECT seq, sends_requested, next_send_at, due_at FROM verifications")
    assert row is not None
    assert (row["seq"], row["sends_requested"]) == (2, 2)
    assert (row["next_send_at"], row["due_at"]) == (NOW + timedelta(seconds=91), NOW + timedelta(seconds=32))


async def test_cancelling_ends_the_verification_and_clears_what_nobody_needs_any_more(
    pool: Pool, subjects: Subjects
) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        _, told = await carry_out(connection, subjects, [Cancel(Asker(SHOP), request.verification_id)])
        assert isinstance(told[0].emit.event, VerificationEnded) and told[0].sequence == 2
        row = await connection.fetchrow("SELECT state, due_at, own_code, ended_at, end_reason FROM verifications")
    assert row is not None
    assert (row["state"], row["due_at"], row["own_code"]) == ("cancelled", None, None)
    assert row["ended_at"] is not None and row["end_reason"] == "cancelled_by_platform"


async def test_an_answer_is_kept_under_its_key_and_a_refusal_frees_it(pool: Pool, subjects: Subjects) -> None:
    request = start(asker=Asker(SHOP, REPEAT))
    async with pool.acquire() as connection:
        [ruling], _ = await carry_out(connection, subjects, [request])
        found = await held(connection, subjects, request)
        assert found.stored is not None
        assert (found.stored.status, found.stored.body) == (202, getattr(ruling.reply, "body", None))
        refused = start(asker=Asker(SHOP, Repeat("http:other", b"x")))
        await carry_out(connection, subjects, [refused])
        assert await connection.fetchval("SELECT array_agg(key) FROM idempotency") == ["http:k"]


async def test_a_key_that_another_process_holds_is_waited_for_and_then_answers_with_its_result(
    pool: Pool, subjects: Subjects
) -> None:
    request = start(asker=Asker(SHOP, REPEAT))
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(pool.acquire()) for _ in range(2)]
        async with one.transaction():
            await carry_out(one, subjects, [request])
            waiting = asyncio.ensure_future(held(other, subjects, request))
            await asyncio.wait({waiting}, timeout=0.2)
            assert not waiting.done()
        found = await waiting
    assert found.stored is not None and found.stored.status == 202


async def test_a_key_that_is_held_for_too_long_is_given_up(pool: Pool, subjects: Subjects) -> None:
    request = start(asker=Asker(SHOP, REPEAT))
    async with pool.acquire() as one, pool.acquire() as other, one.transaction():
        await held(one, subjects, request)
        with pytest.raises(store.KeyHeld):
            async with other.transaction():
                await held(other, subjects, request)


async def test_two_starts_of_one_number_never_pass_each_other(pool: Pool, subjects: Subjects) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            first = start()
            await carry_out(one, subjects, [first])
            second = asyncio.ensure_future(held(other, subjects, start()))
            await asyncio.wait({second}, timeout=0.2)
            assert not second.done()
        found = await second
    assert found.standing is not None and found.standing.about.verification_id == first.verification_id


async def test_a_bucket_admits_exactly_its_burst_to_64_parallel_takers(pool: Pool) -> None:
    tenant = Tenant(id="shop", countries=["IN"], requests_per_second=1, requests_burst=20)
    limits = limits_for(start(asker=Asker(tenant)), None)[:1]

    async def take() -> bool:
        async with pool.acquire() as connection, connection.transaction():
            buckets = Buckets(await store.hold_buckets(connection, [limit.key for limit in limits]), to_us(NOW))
            granted = buckets.take(limits) is None
            await store.carry_out(connection, [], buckets.changed())
            return granted

    assert sum(await asyncio.gather(*(take() for _ in range(64)))) == 20


async def test_attempts_are_read_in_the_order_they_were_made(
    pool: Pool, subjects: Subjects, database: FreshDatabase
) -> None:
    request = start()
    async with pool.acquire() as connection:
        await carry_out(connection, subjects, [request])
        owner = await asyncpg.connect(database.dsn)
        for send_no, try_no in ((2, 1), (1, 2), (1, 1)):
            await owner.execute(
                "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline)"
                " VALUES ($1, $2, $3, $4, 1, clock_timestamp())",
                standing().about.verification_id, request.verification_id, send_no, try_no,
            )  # fmt: skip
        await owner.close()
        found = await store.attempts(connection, request.verification_id)
    assert [(row["send_no"], row["try_no"]) for row in found] == [(1, 1), (1, 2), (2, 1)]


async def test_the_backlog_is_the_age_of_the_oldest_event(pool: Pool, database: FreshDatabase) -> None:
    row = OutboxRow(standing().about.verification_id, "otp.requests.v1", b"k", b"{}", ())
    async with pool.acquire() as connection:
        assert await store.backlog_s(connection) == 0.0
        await outbox.store(connection, [row])
        owner = await asyncpg.connect(database.dsn)
        await owner.execute("UPDATE outbox SET created_at = created_at - interval '30 s'")
        await owner.close()
        assert 30 <= await store.backlog_s(connection) < 60


async def test_a_dead_letter_or_a_tenants_result_that_kafka_never_takes_closes_no_door(pool: Pool) -> None:
    refused = [OutboxRow(uuid4(), topic, b"k", b"{}", ()) for topic in ("otp.inbox.v1.dead", "results.shop")]
    async with pool.acquire() as connection:
        await outbox.store(connection, refused)
        assert await store.backlog_s(connection) == 0.0


async def test_intake_may_not_read_what_is_not_its_own(pool: Pool) -> None:
    for query in ("SELECT mac FROM codes", "DELETE FROM verifications", "UPDATE subjects SET wrapped_key = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(query)


def test_every_statement_is_used() -> None:
    used = Path(store.__file__).read_text("utf-8")
    unused = [name for name in statements("watchword.intake") if f'"{name}"' not in used]
    assert unused == []
