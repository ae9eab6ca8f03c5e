"""Checks on a real Postgres under their own role, many at once: counts are exact and one code approves once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import CODE, issued, pool_of, silent_teller, tables
from watchword.checks import store
from watchword.checks.budgets import Excess
from watchword.checks.decide import Answer, Result
from watchword.checks.desk import Answered, Check, Desk, Exhausted, Unknown
from watchword.checks.metrics import ChecksMetrics
from watchword.events.verification import Facts
from watchword.kernel.binding import binding_hash
from watchword.kernel.secret import Code
from watchword.kernel.verdict import Write
from watchword.runtime import keyring, outbox
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.keyring import Purpose
from watchword.runtime.metrics import Metrics

AT_ONCE = 200
USUAL = Excess("shop", 1_000, enforced=True)


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def desks(stand: Pipeline) -> AsyncIterator[list[Desk]]:
    """Three, as three processes would have them: what one counts the others must see."""
    async with AsyncExitStack() as open_pools:
        made = []
        for _ in range(3):
            pool = await open_pools.enter_async_context(pool_of("checks", stand.dsn))
            desk = Desk(
                pool=pool,
                clock=DatabaseClock(pool),
                keyring=stand.keys,
                teller=silent_teller("checks", pool),
                metrics=ChecksMetrics(Metrics()),
            )
            await desk.start()
            made.append(desk)
        yield made
        for desk in made:
            await desk.stop()


def check(about: Facts, code: str = CODE, excess: Excess = USUAL, **changes: str) -> Check:
    return Check(about.tenant, about.verification_id, Code(code), excess, **changes)


async def ask(desks: list[Desk], checks: list[Check]) -> list[Answered]:
    """All of them at once, spread over the desks."""
    return await asyncio.gather(
        *(desks[number % len(desks)].check(one, deadline_s=30) for number, one in enumerate(checks))
    )


def results(answers: list[Answered]) -> Counter[str]:
    return Counter(one.result if isinstance(one, Answer) else type(one).__name__ for one in answers)


async def told(stand: Pipeline) -> list[tuple[str, int]]:
    """Every event in the outbox: its name and its number, in the order of the numbers."""
    rows = await stand.connection.fetch("SELECT headers FROM outbox")
    headers = [{name: value.decode() for name, value in outbox.unpack(row["headers"])} for row in rows]
    return sorted(((one["ce_type"], int(one["ce_sequence"])) for one in headers), key=lambda one: one[1])


async def test_200_wrong_codes_at_once_count_exactly_as_many_as_there_are_checks(
    stand: Pipeline, desks: list[Desk]
) -> None:
    about = await issued(stand)
    answers = await ask(desks, [check(about, f"{n:06d}") for n in range(AT_ONCE)])
    assert results(answers) == {"wrong": 4, "locked": AT_ONCE - 4}
    row = await stand.row("SELECT state, checks_used, seq, end_reason FROM verifications")
    assert tuple(row) == ("locked", 5, 9, "too_many_wrong_codes")
    events = await told(stand)
    assert [number for _, number in events] == [4, 5, 6, 7, 8, 9]
    assert Counter(name for name, _ in events) == {"otp.code-checked.v1": 5, "otp.verification-ended.v1": 1}


async def test_200_right_codes_at_once_approve_once(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand)
    answers = await ask(desks, [check(about)] * AT_ONCE)
    assert results(answers) == {"approved": 1, "used": AT_ONCE - 1}
    row = await stand.row("SELECT state, checks_used, checks_told FROM verifications")
    assert (row["state"], row["checks_told"]) == ("approved", (1 << row["checks_used"]) - 1)
    assert row["checks_used"] <= 5


async def test_the_right_code_among_200_wrong_ones_approves_at_most_once_and_never_after_the_lock(
    stand: Pipeline, desks: list[Desk]
) -> None:
    about = await issued(stand)
    codes = [f"{n:06d}" for n in range(AT_ONCE)]
    codes[4:AT_ONCE:40] = [CODE] * len(codes[4:AT_ONCE:40])
    answers = await ask(desks, [check(about, code) for code in codes])
    row = await stand.row("SELECT state, checks_used FROM verifications")
    assert results(answers)["approved"] == (row["state"] == "approved")
    assert row["checks_used"] <= 5


async def test_events_of_many_checks_are_numbered_without_a_gap(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand)
    await ask(desks, [check(about, f"{n:06d}") for n in range(20)])
    assert [number for _, number in await told(stand)] == [4, 5, 6, 7, 8, 9]


async def test_many_verifications_at_once_are_answered_each_for_itself(stand: Pipeline, desks: list[Desk]) -> None:
    abouts = [await issued(stand, number=f"+9198765{n:05d}") for n in range(30)]
    answers = await ask(desks, [check(about, CODE if n % 2 else "000000") for n, about in enumerate(abouts)])
    assert results(answers) == {"approved": 15, "wrong": 15}


async def test_another_tenants_id_and_one_that_never_was_look_the_same(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand)
    strangers = [Check("other", about.verification_id, Code(CODE), USUAL), Check("shop", uuid4(), Code(CODE), USUAL)]
    assert await ask(desks, strangers) == [Unknown(), Unknown()]
    assert (await stand.row("SELECT checks_used FROM verifications"))["checks_used"] == 0


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"state": "cancelled", "ended_at": datetime.now(UTC)}, Answer(Result.EXPIRED, 0)),
        ({"state": "approved", "ended_at": datetime.now(UTC)}, Answer(Result.USED, 0)),
        ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, Answer(Result.EXPIRED, 0)),
    ],
)
async def test_a_code_that_cannot_be_right_is_answered_without_being_counted(
    stand: Pipeline, desks: list[Desk], columns: dict[str, Any], expected: Answer
) -> None:
    about = await issued(stand, **columns)
    assert await ask(desks, [check(about)]) == [expected]
    assert (await stand.row("SELECT checks_used FROM verifications"))["checks_used"] == 0
    assert await told(stand) == []


WITHOUT_A_CODE: list[dict[str, Any]] = [
    {"state": "blocked", "ended_at": datetime.now(UTC), "due_at": None},
    {"state": "requested", "due_at": None},
]


@pytest.mark.parametrize("columns", WITHOUT_A_CODE)
async def test_a_blocked_user_hears_what_others_hear_until_he_is_locked_out(
    stand: Pipeline, desks: list[Desk], columns: dict[str, Any]
) -> None:
    """He was told "4 left" again and again, and so that he was blocked. The right code is none."""
    blocked = await issued(stand, **columns)
    other = await issued(stand, purpose="pay")
    heard = {
        about.purpose: [await desks[0].check(check(about, code), deadline_s=10) for code in codes]
        for about, codes in ((blocked, [CODE] * 6), (other, ["000000"] * 6))
    }
    assert heard["login"] == heard["pay"]
    assert results(heard["login"]) == {"wrong": 4, "locked": 2}
    where = "FROM verifications WHERE purpose = 'login'"
    row = await stand.row(f"SELECT state, checks_used, checks_told, seq, due_at {where}")
    assert tuple(row) == (columns["state"], 5, 0b11111, 8, None)


async def test_checks_of_a_blocked_user_whose_process_died_are_told_by_timers(stand: Pipeline) -> None:
    about = await issued(stand, **WITHOUT_A_CODE[0])
    async with pool_of("checks", stand.dsn) as pool, pool.acquire() as connection:
        counted = await store.count(connection, [about.verification_id])
    assert counted[about.verification_id] == store.Tally(1, None)
    due_at = await stand.connection.fetchval("SELECT due_at FROM verifications")
    assert datetime.now(UTC) < due_at < datetime.now(UTC) + timedelta(seconds=31)


async def unreadable(stand: Pipeline, about: Facts) -> None:
    """Its rules are of a version that counts guesses in another way."""
    await stand.connection.execute(
        'UPDATE verifications SET rules = rules || \'{"wrong_per_hour": "as usual"}\' WHERE id = $1',
        about.verification_id,
    )


async def test_one_row_that_cannot_be_read_costs_nobody_else_his_check(stand: Pipeline, desks: list[Desk]) -> None:
    """It cost all of its batch a check each, counted and never compared."""
    abouts = [await issued(stand, number=f"+9198765{n:05d}") for n in range(5)]
    await unreadable(stand, abouts[2])
    answers = await ask(desks[:1], [check(about) for about in abouts])
    assert [isinstance(each, store.Unreadable) for each in answers] == [n == 2 for n in range(5)]
    assert results(answers) == {"approved": 4, "Unreadable": 1}
    assert await stand.connection.fetchval("SELECT sum(checks_used) FROM verifications") == 4


async def test_of_what_a_check_does_not_need_a_newer_version_may_say_anything(
    stand: Pipeline, desks: list[Desk]
) -> None:
    about = await issued(stand)
    await stand.connection.execute('UPDATE verifications SET rules = rules || \'{"resend": "by_letter"}\'')
    assert results(await ask(desks, [check(about)])) == {"approved": 1}


async def test_a_number_out_of_guesses_is_refused_even_with_the_right_code_and_not_counted(
    stand: Pipeline, desks: list[Desk]
) -> None:
    """The budget of the number holds across its verifications."""
    first = await issued(stand, rules={"wrong_per_hour": 3})
    second = await issued(stand, purpose="pay", rules={"wrong_per_hour": 3})
    assert results(await ask(desks[:1], [check(first, "000000"), check(second, "000000")])) == {"wrong": 2}
    assert results(await ask(desks, [check(first, "000001")])) == {"wrong": 1}
    [refused] = await ask(desks, [check(second)])
    assert isinstance(refused, Exhausted)
    assert 0 < refused.retry_after_s <= 1_200
    assert (await stand.row("SELECT checks_used FROM verifications WHERE purpose = 'pay'"))["checks_used"] == 1


async def test_checks_of_one_number_at_once_take_exactly_what_its_budget_holds(
    stand: Pipeline, desks: list[Desk]
) -> None:
    rules = {"wrong_per_hour": 7, "wrong_per_day": 100}
    abouts = [await issued(stand, purpose=f"p{n}", rules=rules) for n in range(20)]
    answers = await ask(desks, [check(about, "000000") for about in abouts])
    assert results(answers) == {"wrong": 7, "Exhausted": 13}
    assert await stand.connection.fetchval("SELECT sum(checks_used) FROM verifications") == 7


async def test_a_budget_refused_by_the_day_gives_the_hour_back(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand, rules={"wrong_per_hour": 100, "wrong_per_day": 1})
    await ask(desks, [check(about, "000000")])
    before = await stand.row("SELECT tat FROM limits WHERE key LIKE 'wrong/hour/%'")
    assert results(await ask(desks, [check(about)])) == {"Exhausted": 1}
    assert await stand.row("SELECT tat FROM limits WHERE key LIKE 'wrong/hour/%'") == before


async def test_a_right_code_costs_its_number_nothing(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand)
    now = datetime.now(UTC)
    assert results(await ask(desks, [check(about)])) == {"approved": 1}
    for row in await stand.connection.fetch("SELECT tat FROM limits"):
        assert row["tat"] <= now + timedelta(seconds=5)


async def spread(stand: Pipeline, desk: Desk, code: str, count: int, excess: Excess) -> Counter[str]:
    """One guess at each of `count` verifications of as many numbers, one after the other."""
    abouts = [await issued(stand, number=f"+91987{uuid4().int % 10_000_000:07d}") for _ in range(count)]
    return results([await desk.check(check(about, code, excess), deadline_s=10) for about in abouts])


async def test_one_guess_at_each_of_many_numbers_is_stopped_by_the_tenants_excess(
    stand: Pipeline, desks: list[Desk]
) -> None:
    """Neither counted nor compared, the right code included."""
    excess = Excess("shop", 5, enforced=True)
    assert await spread(stand, desks[0], "000000", 7, excess) == {"wrong": 5, "Exhausted": 2}
    assert await spread(stand, desks[0], CODE, 1, excess) == {"Exhausted": 1}
    assert await stand.connection.fetchval("SELECT sum(checks_used) FROM verifications") == 5
    other = Excess("other", 5, enforced=True)
    assert await spread(stand, desks[0], "000000", 1, other) == {"wrong": 1}


async def test_wrong_codes_are_as_usual_as_long_as_right_ones_keep_step(stand: Pipeline, desks: list[Desk]) -> None:
    excess = Excess("shop", 3, enforced=True)
    for _ in range(4):
        assert await spread(stand, desks[0], "000000", 2, excess) == {"wrong": 2}
        assert await spread(stand, desks[0], CODE, 2, excess) == {"approved": 2}


async def test_a_tenant_that_monitors_is_counted_as_alarming_and_refused_nothing(stand: Pipeline) -> None:
    metrics = Metrics()
    async with pool_of("checks", stand.dsn) as pool:
        desk = Desk(
            pool=pool, clock=DatabaseClock(pool), keyring=stand.keys, teller=silent_teller("checks", pool),
            metrics=ChecksMetrics(metrics),
        )  # fmt: skip
        await desk.start()
        assert await spread(stand, desk, "000000", 5, Excess("shop", 2, enforced=False)) == {"wrong": 5}
        await desk.stop()
    assert metrics.value("watchword_checks_excess_total") == 3


async def test_a_check_that_its_number_refuses_costs_its_tenant_nothing(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand, rules={"wrong_per_hour": 1})
    excess = Excess("shop", 3, enforced=True)
    answers = [await desks[0].check(check(about, "000000", excess), deadline_s=10) for _ in range(6)]
    assert results(answers) == {"wrong": 1, "Exhausted": 5}
    assert await spread(stand, desks[0], "000000", 3, excess) == {"wrong": 2, "Exhausted": 1}


async def test_another_binding_counts_as_wrong_and_the_right_one_approves(stand: Pipeline, desks: list[Desk]) -> None:
    bound = binding_hash({"amount": "12.00"})
    about = await issued(stand, binding_hash=bound)
    other = check(about, binding_hash=binding_hash({"amount": "99.00"}))
    assert await ask(desks, [other]) == [Answer(Result.BINDING_MISMATCH, 4)]
    assert await ask(desks, [check(about, binding_hash=bound)]) == [Answer(Result.APPROVED, 0)]


async def test_a_code_made_under_an_older_pepper_still_approves(stand: Pipeline) -> None:
    about = await issued(stand)
    keyring.rotate(stand.keyring_path, datetime.now(UTC), [Purpose.PEPPER])
    keyring.promote(stand.keyring_path)
    async with pool_of("checks", stand.dsn) as pool:
        desk = Desk(
            pool=pool,
            clock=DatabaseClock(pool),
            keyring=stand.keys,
            teller=silent_teller("checks", pool),
            metrics=ChecksMetrics(Metrics()),
        )
        await desk.start()
        assert await desk.check(check(about), deadline_s=10) == Answer(Result.APPROVED, 0)
        await desk.stop()


async def test_the_newest_verification_of_a_number_is_found_by_its_token(stand: Pipeline, desks: list[Desk]) -> None:
    about = await issued(stand)
    numbers = [("shop", about.number_token, "login"), ("shop", about.number_token, "pay"), ("x", "y", "z")]
    found = await asyncio.gather(*(desks[0].latest(number, deadline_s=5) for number in numbers))
    assert found == [about.verification_id, None, None]


ENDS_WHEN_COUNTED = """
CREATE FUNCTION end_when_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.checks_used > OLD.checks_used THEN
        NEW.state := 'cancelled'; NEW.ended_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ends BEFORE UPDATE ON verifications FOR EACH ROW EXECUTE FUNCTION end_when_counted();
"""


@pytest.mark.parametrize("code", [CODE, "000000"])
async def test_a_verification_that_ends_between_count_and_comparison_is_not_approved(
    stand: Pipeline, desks: list[Desk], code: str
) -> None:
    about = await issued(stand, checks_max=1)
    await stand.connection.execute(ENDS_WHEN_COUNTED)
    assert await ask(desks, [check(about, code)]) == [Answer(Result.EXPIRED, 0)]
    assert (await stand.row("SELECT state, checks_used FROM verifications"))["state"] == "cancelled"
    assert await told(stand) == [("otp.code-checked.v1", 4)]


@pytest.mark.parametrize(
    "columns",
    [
        {"checks_used": 5},
        {"state": "cancelled", "ended_at": datetime.now(UTC)},
        {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
    ],
)
async def test_the_count_itself_refuses_what_may_not_be_checked(stand: Pipeline, columns: dict[str, Any]) -> None:
    """The guard of the statement, whatever was read before it."""
    about = await issued(stand, **columns)
    async with pool_of("checks", stand.dsn) as pool, pool.acquire() as connection:
        assert await store.count(connection, [about.verification_id]) == {}


async def test_checks_may_not_read_what_they_do_not_need(stand: Pipeline) -> None:
    async with pool_of("checks", stand.dsn) as pool:
        for table in ("subjects", "attempts", "receipts_parked", "idempotency"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(f"SELECT 1 FROM {table}")


async def test_a_check_of_which_somebody_told_meanwhile_is_concluded_under_the_next_number(
    stand: Pipeline, desks: list[Desk]
) -> None:
    about = await issued(stand)
    async with pool_of("checks", stand.dsn) as pool, pool.acquire() as connection:
        seen = await store.count_at_once(connection, [(about.verification_id, about.tenant, USUAL.per_hour)])
        one = seen[about.verification_id]
        assert isinstance(one, store.Seen) and one.tally is not None and one.tally.seq == 3
        await stand.connection.execute("UPDATE verifications SET seq = seq + 1")
        write = Write("approve", str(about.verification_id), (1, "right_code"))
        assert not await store.conclude_at_once(connection, [store.Conclusion(write, 3, (), ())], [])
    assert await stand.connection.fetchval("SELECT state FROM verifications") == "issued"
    assert results(await ask(desks, [check(about)])) == {"approved": 1}
    assert [number for _, number in await told(stand)] == [5, 6]
