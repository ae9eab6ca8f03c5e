"""What timers take and write, on a real Postgres under their own role."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued, pool_of, silent_teller
from watchword.events.envelope import encode
from watchword.events.receipt_received import ReceiptReceived
from watchword.runtime import outbox
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.metrics import Metrics
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Pool, statements
from watchword.timers.decide import decide_abandoned, decide_due, decide_late, decide_stale
from watchword.timers.metrics import TimersMetrics
from watchword.timers.overdue import Kind, Means, Overdue
from watchword.timers.parked import ParkedTooLong
from watchword.timers.store import SQL, due_of, late_of, stale_of

ROLE = "timers"

PAST = datetime.now(UTC) - timedelta(minutes=10)
CANCEL = "UPDATE verifications SET state = 'cancelled', ended_at = clock_timestamp(), due_at = NULL WHERE id = $1"
JUST_NOW = datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture
def means(pool: Pool) -> Means:
    return Means(pool, DatabaseClock(pool), silent_teller("timers", pool), TimersMetrics(Metrics()))


def due(means: Means, rows_max: int = 200) -> Overdue[Any]:
    return Overdue(Kind("due_verifications", SQL["due_verifications"], (rows_max,), due_of, decide_due), means)


def stale(means: Means) -> Overdue[Any]:
    return Overdue(Kind("stale_claims", SQL["stale_claims"], (200,), stale_of, decide_stale), means)


def late(means: Means) -> Overdue[Any]:
    return Overdue(
        Kind("late_attempts", SQL["late_attempts"], (timedelta(seconds=5), 200), late_of, decide_late), means
    )


def abandoned(means: Means, looked_at: int = 2_000) -> Overdue[Any]:
    return Overdue(
        Kind("abandoned_attempts", SQL["abandoned_attempts"], (looked_at, 200), late_of, decide_abandoned), means
    )


async def told(stand: Pipeline) -> list[tuple[str, str, int]]:
    """Every event in the outbox: name, topic, number."""
    rows = await stand.connection.fetch("SELECT topic, headers FROM outbox")
    read = [(row["topic"], {name: value.decode() for name, value in outbox.unpack(row["headers"])}) for row in rows]
    return sorted((one["ce_type"], topic, int(one.get("ce_sequence", 0))) for topic, one in read)


async def test_an_assessment_that_is_late_is_assumed_once(stand: Pipeline, means: Means) -> None:
    about = await stand.verification(due_at=JUST_NOW)
    for _ in range(3):
        await due(means).turn()
    row = await stand.row("SELECT state, sends_assessed, seq, due_at FROM verifications")
    assert (row["state"], row["sends_assessed"], row["seq"]) == ("requested", 1, 2)
    assert row["due_at"] == about.expires_at
    assert await told(stand) == [("otp.verification-assessed.v1", "otp.assessments.v1", 2)]


async def test_an_assessment_that_came_meanwhile_is_not_assumed(stand: Pipeline, pool: Pool) -> None:
    """The guard of the statement, whatever was read before it."""
    about = await issued(stand)
    late = [[about.verification_id], [1], [0], [1], [about.expires_at]]
    assert await pool.fetch(SQL["assume_assessed"], *late) == []
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 3


async def test_a_life_that_is_over_expires_once(stand: Pipeline, means: Means) -> None:
    await issued(stand, created_at=PAST, expires_at=JUST_NOW, due_at=JUST_NOW)
    for _ in range(2):
        await due(means).turn()
    row = await stand.row("SELECT state, seq, due_at, end_reason, ended_at FROM verifications")
    assert (row["state"], row["seq"], row["due_at"], row["end_reason"]) == ("expired", 4, None, "time_over")
    assert await told(stand) == [("otp.verification-ended.v1", "otp.lifecycle.v1", 4)]


async def test_one_row_that_cannot_be_read_does_not_stop_the_expiry_of_others(stand: Pipeline, means: Means) -> None:
    for n in range(3):
        await issued(stand, number=f"+919876543{n:03d}", created_at=PAST, expires_at=JUST_NOW, due_at=JUST_NOW)
    await stand.connection.execute(
        'UPDATE verifications SET rules = rules || \'{"resend": "by_letter"}\' '
        "WHERE id = (SELECT id FROM verifications ORDER BY id LIMIT 1)"
    )
    await due(means).turn()
    assert await stand.connection.fetchval("SELECT count(*) FROM verifications WHERE state = 'expired'") == 3


async def test_what_is_not_due_is_left_alone(stand: Pipeline, means: Means) -> None:
    await issued(stand)
    await due(means).turn()
    assert (await stand.row("SELECT state FROM verifications"))["state"] == "issued"
    assert await told(stand) == []


async def test_a_verification_that_owes_nothing_is_looked_at_when_its_life_ends(stand: Pipeline, means: Means) -> None:
    about = await issued(stand, due_at=JUST_NOW)
    await due(means).turn()
    assert (await stand.row("SELECT due_at FROM verifications"))["due_at"] == about.expires_at
    assert await told(stand) == []


async def test_several_timers_share_the_work_and_do_nothing_twice(stand: Pipeline, means: Means) -> None:
    for n in range(60):
        await stand.verification(number=f"+9198765{n:05d}", due_at=JUST_NOW)
    await asyncio.gather(*(due(means, rows_max=7).turn() for _ in range(4)))
    assert await stand.connection.fetchval("SELECT count(*) FROM verifications WHERE sends_assessed = 1") == 60
    assert len(await told(stand)) == 60


async def test_a_claim_whose_lease_ran_out_is_queued_again_once(stand: Pipeline, means: Means) -> None:
    about = await issued(stand)
    await attempt(stand, about, state="accepted", account="echo-0", provider_id="m-0")
    claimed = await attempt(stand, about, try_no=2, state="sending", owner="d-1", account="echo-1",
                            lease_until=JUST_NOW)  # fmt: skip
    for _ in range(2):
        await stale(means).turn()
    row = await stand.row("SELECT state, owner, lease_until, recovery FROM attempts WHERE id = $1", claimed)
    assert tuple(row) == ("queued", "", None, 1)
    assert await told(stand) == [("otp.send-requested.v1", "otp.dispatch.v1", 4)]
    value = orjson.loads((await stand.row("SELECT value FROM outbox"))["value"])
    assert (value["tried"], value["left"], value["recovery"], value["try_no"]) == (["echo-0"], 1, 1, 2)
    assert value["first_try_at"] <= datetime.now(UTC).isoformat()


async def test_a_claim_that_is_renewed_in_time_is_left_alone(stand: Pipeline, means: Means) -> None:
    about = await issued(stand)
    await attempt(stand, about, state="sending", owner="d-1", lease_until=datetime.now(UTC) + timedelta(seconds=9))
    await stale(means).turn()
    assert (await stand.row("SELECT state FROM attempts"))["state"] == "sending"
    assert await told(stand) == []


async def test_two_stale_claims_of_one_verification_are_told_with_numbers_of_their_own(
    stand: Pipeline, means: Means
) -> None:
    about = await issued(stand)
    for try_no in (1, 2):
        await attempt(stand, about, try_no=try_no, state="sending", owner="d-1", lease_until=JUST_NOW)
    for _ in range(2):
        await stale(means).turn()
    assert [number for _, _, number in await told(stand)] == [4, 5]
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 5


async def test_a_stale_claim_whose_code_is_dead_stays_unknown(stand: Pipeline, means: Means) -> None:
    about = await issued(stand, created_at=PAST, expires_at=JUST_NOW)
    await attempt(stand, about, state="sending", owner="d-1", lease_until=PAST, send_deadline=PAST)
    await stale(means).turn()
    row = await stand.row("SELECT state, outcome, owner FROM attempts")
    assert tuple(row) == ("unknown", "ambiguous", "")
    assert await told(stand) == [("otp.attempt-made.v2", "otp.lifecycle.v1", 4)]


async def test_an_attempt_nobody_claimed_is_skipped_after_its_deadline_and_not_before(
    stand: Pipeline, means: Means
) -> None:
    about = await issued(stand)
    await attempt(stand, about, send_deadline=PAST)
    await attempt(stand, about, try_no=2)
    await late(means).turn()
    rows = await stand.connection.fetch("SELECT state FROM attempts ORDER BY try_no")
    assert [row["state"] for row in rows] == ["skipped_late", "queued"]
    assert await told(stand) == [("otp.attempt-made.v2", "otp.lifecycle.v1", 4)]


async def test_a_recovered_attempt_is_given_up_only_after_the_life_of_its_code(stand: Pipeline, means: Means) -> None:
    alive, dead = await issued(stand), await issued(stand, number="+919876543211", expires_at=PAST)
    for about in (alive, dead):
        await attempt(stand, about, recovery=1, send_deadline=PAST)
    await late(means).turn()
    rows = await stand.connection.fetch("SELECT verification_id, state FROM attempts")
    assert {row["verification_id"]: row["state"] for row in rows} == {
        alive.verification_id: "queued", dead.verification_id: "unknown",
    }  # fmt: skip


async def test_what_is_queued_for_an_ended_verification_is_settled_at_once(stand: Pipeline, means: Means) -> None:
    ended, alive = await issued(stand), await issued(stand, number="+919876543211")
    for about in (ended, alive):
        for try_no in (2, 3):
            await attempt(stand, about, try_no=try_no)
    await attempt(stand, ended, try_no=4, recovery=1)
    await attempt(stand, ended, try_no=1, state="sending", owner="d-1")
    await stand.connection.execute(CANCEL, ended.verification_id)
    for _ in range(3):
        await abandoned(means).turn()
    rows = await stand.connection.fetch("SELECT verification_id, try_no, state FROM attempts ORDER BY try_no")
    states = {row["try_no"]: row["state"] for row in rows if row["verification_id"] == ended.verification_id}
    assert states == {1: "sending", 2: "skipped_late", 3: "skipped_late", 4: "queued"}
    assert {row["state"] for row in rows if row["verification_id"] == alive.verification_id} == {"queued"}
    assert await told(stand) == [("otp.attempt-made.v2", "otp.lifecycle.v1", number) for number in (4, 5)]


async def test_the_look_for_abandoned_attempts_is_bounded_and_begins_with_the_soonest(
    stand: Pipeline, means: Means
) -> None:
    about = await issued(stand)
    for try_no, minutes in ((1, 3), (2, 1), (3, 2)):
        await attempt(stand, about, try_no=try_no, send_deadline=datetime.now(UTC) + timedelta(minutes=minutes))
    await stand.connection.execute(CANCEL, about.verification_id)
    await abandoned(means, looked_at=1).turn()
    rows = await stand.connection.fetch("SELECT try_no FROM attempts WHERE state = 'skipped_late'")
    assert [row["try_no"] for row in rows] == [2]


async def test_a_check_that_was_counted_and_never_concluded_is_told_once_after_the_end(
    stand: Pipeline, means: Means
) -> None:
    """Counted twice by processes that died, the third time approved: what is missing is told as unknown."""
    about = await issued(stand)
    await stand.connection.execute("UPDATE verifications SET checks_used = 3")
    async with pool_of("checks", stand.dsn) as checks:
        approve = statements("watchword.checks")["approve"]
        assert await checks.fetch(approve, [about.verification_id], [2], [3], ["right_code"])
        due_s = "SELECT extract(epoch FROM due_at - clock_timestamp()) AS due_s, checks_told FROM verifications"
        row = await stand.row(due_s)
        assert (25 < row["due_s"] <= 30, row["checks_told"]) == (True, 0b100)
        await due(means).turn()
        assert await told(stand) == []
        await stand.connection.execute("UPDATE verifications SET due_at = $1", JUST_NOW)
        for _ in range(2):
            await due(means).turn()
        assert await told(stand) == [("otp.code-checked.v1", "otp.lifecycle.v1", number) for number in (6, 7)]
        row = await stand.row("SELECT checks_told, due_at, seq FROM verifications")
        assert tuple(row) == (0b111, None, 7)
        note = statements("watchword.checks")["note"]
        assert await checks.fetch(note, [about.verification_id], [1], [2]) == []


ENDINGS = {
    "cancel": ("intake", ["by"], "issued"), "expire": ("timers", ["late"], "issued"),
    "fail": ("dispatch", ["no_route"], "issued"), "block": ("codes", ["range_level"], "requested"),
}  # fmt: skip


@pytest.mark.parametrize("statement", ENDINGS)
async def test_whoever_ends_it_leaves_word_that_a_check_is_not_told_yet(stand: Pipeline, statement: str) -> None:
    worker, row, state = ENDINGS[statement]
    ends = [
        await issued(stand, checks_used=1, checks_told=told, number=f"+91987654321{told}", state=state)
        for told in (0, 1)
    ]
    for about in ends:
        await attempt(stand, about, state="rejected")
    ids = [about.verification_id for about in ends]
    async with pool_of(worker, stand.dsn) as pool:
        changed = await pool.fetch(statements(f"watchword.{worker}")[statement], ids, [1, 1], row * 2)
    assert len(changed) == 2
    found = await stand.connection.fetch("SELECT due_at IS NULL AS quiet FROM verifications ORDER BY id")
    assert [each["quiet"] for each in found] == [False, True]


async def test_a_parked_receipt_past_its_time_becomes_a_dead_letter(stand: Pipeline, means: Means) -> None:
    event = ReceiptReceived(receipt_id="r1", account="echo-1", gateway="echo", received_at=PAST, sealed="AQ==")
    for n, until in enumerate((PAST, datetime.now(UTC) + timedelta(minutes=5))):
        await stand.connection.execute(
            "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until) "
            "VALUES ($1, 'echo-1', '', 'm-1', $2, $3)", f"r1/{n}", encode(event), until,
        )  # fmt: skip
    await ParkedTooLong(200, means).turn()
    letter = await stand.row("SELECT topic, value, headers FROM outbox")
    headers = {name: value.decode() for name, value in outbox.unpack(letter["headers"])}
    assert (letter["topic"], letter["value"]) == ("otp.receipts.v1.dead", encode(event))
    assert (headers["wwd_reason"], headers["ce_type"]) == ("unmatched_receipt", "otp.receipt-received.v1")
    assert [row["id"] for row in await stand.connection.fetch("SELECT id FROM receipts_parked")] == ["r1/1"]


async def test_the_sweep_takes_only_what_is_late_and_passes_by_what_is_set_aside(stand: Pipeline, pool: Pool) -> None:
    rows = [OutboxRow(uuid4(), "otp.lifecycle.v1", b"k", b"{}", ()) for _ in range(3)]
    async with pool.acquire() as connection:
        await outbox.store(connection, rows)
        then = datetime.now(UTC) - timedelta(minutes=10)
        await stand.connection.execute("UPDATE outbox SET created_at = $2 WHERE id <> $1", rows[2].id, then)
        async with connection.transaction():
            taken = await connection.fetch(SQL["late_outbox"], timedelta(seconds=3), 10, [rows[0].id])
    assert [row["id"] for row in taken] == [rows[1].id]
    often = await pool.fetchrow(SQL["overdue_often"], timedelta(seconds=3))
    assert often is not None
    assert often["outbox_age_s"] == pytest.approx(600, abs=60)
