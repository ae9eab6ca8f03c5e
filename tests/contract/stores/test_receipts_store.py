"""What receipts find and write, on a real Postgres under their own role."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import orjson
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued
from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.contract import Account, Callback, Receipt
from watchword.kernel.verdict import Done
from watchword.kernel.verification import ReceiptState
from watchword.receipts.callbacks import reports
from watchword.receipts.decide import ReceiptFacts, Report, decide, decide_parked
from watchword.receipts.remapping import remap, unmapped
from watchword.receipts.store import SQL, WRITES_IN_LOCK_ORDER, meant
from watchword.receipts.worker import once_each
from watchword.runtime import acting
from watchword.runtime.acting import Told
from watchword.runtime.clock import WallClock
from watchword.runtime.configuration import Configuration
from watchword.runtime.evidence import sealed
from watchword.runtime.postgres import Pool

ROLE = "receipts"

NOW = datetime.now(UTC)
EVENT = ReceiptReceived(receipt_id="r1", account="echo-1", gateway="echo", received_at=NOW, sealed="AQ==")


def uuid7_at(moment: datetime) -> UUID:
    return UUID(int=(int(moment.timestamp() * 1_000) << 80) | (7 << 76) | (2 << 62) | 1)


def said(state: ReceiptState = ReceiptState.DELIVERED, *, ref: object = "", provider: str = "") -> Receipt:
    return Receipt(state, client_ref=str(ref), provider_id=provider)


async def match(pool: Pool, *callbacks: Sequence[Receipt], account: str = "echo-1") -> list[Told]:
    """One batch of callbacks, found, decided and written as the loop would."""
    async with pool.acquire() as connection, connection.transaction():
        known = await meant(connection, [(account, one) for receipts in callbacks for one in receipts])
        done = []
        for number, receipts in enumerate(callbacks):
            event = ReceiptReceived(
                receipt_id=f"r{number}", account=account, gateway="echo", received_at=NOW, sealed="AQ=="
            )
            reports = tuple(Report(n, one, known.of(account, one)) for n, one in enumerate(receipts))
            verdict = decide(event, ReceiptFacts(reports, value=b"{}"), NOW)
            assert isinstance(verdict, Done)
            done.append((acting.Cause(), verdict))
        return list(once_each(await acting.write(connection, done, WRITES_IN_LOCK_ORDER)))


async def receipt_state(stand: Pipeline, identity: UUID) -> tuple[object, ...]:
    return tuple(await stand.row("SELECT state, receipt_state, receipt_rank FROM attempts WHERE id = $1", identity))


async def test_a_receipt_is_matched_by_our_reference_first(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1", provider_id="m-1")
    other = await attempt(stand, about, try_no=2, state="accepted", account="echo-1", provider_id="m-2")
    [told] = await match(pool, [said(ref=ours, provider="m-2")])
    assert told.sequence == 4
    assert await receipt_state(stand, ours) == ("accepted", "delivered", 90)
    assert await receipt_state(stand, other) == ("accepted", None, 0)


async def test_a_receipt_is_matched_by_account_and_provider_id(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    mine = await attempt(stand, about, state="accepted", account="echo-1", provider_id="m-1")
    theirs = await attempt(stand, about, try_no=2, state="accepted", account="echo-2", provider_id="m-1")
    await match(pool, [said(provider="m-1")])
    assert await receipt_state(stand, mine) == ("accepted", "delivered", 90)
    assert await receipt_state(stand, theirs) == ("accepted", None, 0)


async def test_an_account_cannot_report_on_anothers_attempt(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    theirs = await attempt(stand, about, state="accepted", account="echo-2", provider_id="m-1")
    assert await match(pool, [said(ref=theirs, provider="m-1")]) == []
    assert await receipt_state(stand, theirs) == ("accepted", None, 0)
    parked = await stand.row("SELECT id, account, client_ref, event FROM receipts_parked")
    assert tuple(parked) == ("r0/0", "echo-1", str(theirs), b"{}")


async def test_a_lower_or_equal_receipt_changes_nothing_and_tells_nothing(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1")
    assert len(await match(pool, [said(ReceiptState.UNDELIVERED, ref=ours)])) == 1
    for state in (ReceiptState.UNDELIVERED, ReceiptState.REJECTED, ReceiptState.ENROUTE):
        assert await match(pool, [said(state, ref=ours)]) == []
    assert await receipt_state(stand, ours) == ("accepted", "undelivered", 60)
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 4


async def test_two_callbacks_of_one_attempt_in_one_batch_come_to_the_higher(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1")
    told = await match(pool, [said(ReceiptState.ENROUTE, ref=ours)], [said(ref=ours)])
    assert [(one.emit.ordinal, one.sequence) for one in told] == [(90, 4)]
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 4


@pytest.mark.parametrize("ranks", [[30, 90, 20], [90, 30, 20], [20, 30, 90]])
async def test_the_statement_itself_takes_the_highest_and_never_falls(
    stand: Pipeline, pool: Pool, ranks: list[int]
) -> None:
    """The guards of the statement, whatever was read before it."""
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1")
    batch = [
        [f"{ours}/{rank}" for rank in ranks],
        [1] * 3,
        [ours] * 3,
        ranks,
        ["s"] * 3,
        [""] * 3,
        [NOW] * 3,
        [NOW] * 3,
    ]
    raised = await pool.fetch(SQL["record"], *batch)
    assert [(row["key"], row["seq"]) for row in raised] == [(f"{ours}/90", 4)]
    assert await pool.fetch(SQL["record"], *batch) == []


async def test_attempts_of_one_verification_number_their_receipts_without_a_gap(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = [await attempt(stand, about, try_no=n, state="accepted", account="echo-1") for n in (1, 2, 3)]
    told = await match(pool, *([said(ref=one)] for one in ours))
    assert sorted(one.sequence for one in told) == [4, 5, 6]
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 6


async def test_a_receipt_shows_that_an_attempt_of_unknown_end_left_and_names_it(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="unknown", account="echo-1")
    await match(pool, [said(ReceiptState.SUBMITTED, ref=ours, provider="m-9")])
    assert await receipt_state(stand, ours) == ("accepted", "submitted", 20)
    assert (await stand.row("SELECT provider_id FROM attempts"))["provider_id"] == "m-9"


async def test_no_receipt_approves_a_verification(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1")
    for state in ReceiptState:
        await match(pool, [said(state, ref=ours)])
    row = await stand.row("SELECT state, checks_used, ended_at FROM verifications")
    assert tuple(row) == ("issued", 0, None)


async def test_a_parked_report_is_matched_once_its_attempt_has_the_providers_id(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="sending", account="echo-1")
    await match(pool, [said(provider="m-1")])
    await stand.connection.execute("UPDATE attempts SET state = 'accepted', provider_id = 'm-1'")
    await stand.connection.execute("UPDATE receipts_parked SET look_at = now()")
    async with pool.acquire() as connection, connection.transaction():
        [row] = await connection.fetch(SQL["parked"], ["echo-1"], 10)
        receipt = said(provider=row["provider_id"])
        known = await meant(connection, [("echo-1", receipt)])
        done = decide_parked(EVENT, row["id"], Report(0, receipt, known.of("echo-1", receipt)), b"{}")
        told = await acting.write(connection, [(acting.Cause(), done)], WRITES_IN_LOCK_ORDER)
    assert len(told) == 1
    assert await receipt_state(stand, ours) == ("accepted", "delivered", 90)
    assert await stand.connection.fetchval("SELECT count(*) FROM receipts_parked") == 0


@pytest.mark.parametrize(
    ("waited", "least", "most"),
    [(timedelta(), 0.5, 1.5), (timedelta(seconds=8), 7, 10), (timedelta(minutes=9), 295, 301)],
)
async def test_a_parked_report_that_stays_a_stranger_is_looked_at_ever_more_seldom(
    stand: Pipeline, pool: Pool, waited: timedelta, least: float, most: float
) -> None:
    await match(pool, [said(provider="m-1")])
    await stand.connection.execute(
        "UPDATE receipts_parked SET look_at = now(), parked_at = now() - $1::interval", waited
    )
    async with pool.acquire() as connection, connection.transaction():
        [row] = await connection.fetch(SQL["parked"], ["echo-1"], 10)
        done = decide_parked(EVENT, row["id"], Report(0, said(provider="m-1")), b"{}")
        await acting.write(connection, [(acting.Cause(), done)], WRITES_IN_LOCK_ORDER)
    wait_s = await stand.connection.fetchval("SELECT extract(epoch FROM look_at - now())::float8 FROM receipts_parked")
    assert least <= wait_s <= most
    patience = await stand.row("SELECT parked_until - parked_at > interval '14 minutes' AS enough FROM receipts_parked")
    assert patience["enough"]


async def test_strangers_of_a_shared_connection_keep_nobody_elses_early_report_waiting(
    stand: Pipeline, pool: Pool
) -> None:
    await match(pool, [said(provider=f"s-{number:02d}") for number in range(12)], account="echo-1")
    await stand.connection.execute("UPDATE receipts_parked SET id = 'shared/' || id")
    await match(pool, [said(provider="m-1")], account="echo-2")
    await stand.connection.execute("UPDATE receipts_parked SET look_at = parked_at")
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(SQL["parked"], ["echo-1", "echo-2", "echo-3"], 5)
    assert [row["account"] for row in rows] == ["echo-1", "echo-2", "echo-1", "echo-1", "echo-1"]
    assert "m-1" in [row["provider_id"] for row in rows]


async def test_the_same_callback_is_parked_once(stand: Pipeline, pool: Pool) -> None:
    for _ in range(2):
        await match(pool, [said(provider="m-1"), said(provider="m-2")])
    assert await stand.connection.fetchval("SELECT count(*) FROM receipts_parked") == 2


def part(ref: UUID, number: int, state: ReceiptState = ReceiptState.DELIVERED) -> Receipt:
    return Receipt(state, client_ref=str(ref), part=number)


@pytest.mark.parametrize("batches", [[[1, 2, 3]], [[3], [1], [1, 2]], [[2, 2], [3, 1]]])
async def test_a_long_message_is_delivered_with_its_last_part_and_told_once(
    stand: Pipeline, pool: Pool, batches: list[list[int]]
) -> None:
    """In whatever order and batches its parts are reported, and however often."""
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1", segments=3)
    told = [await match(pool, *([part(ours, number)] for number in batch)) for batch in batches]
    assert [len(each) for each in told] == [0] * (len(batches) - 1) + [1]
    assert [(one.emit.ordinal, one.sequence) for one in told[-1]] == [(90, 4)]
    assert await receipt_state(stand, ours) == ("accepted", "delivered", 90)
    assert await match(pool, [part(ours, 2)]) == []


async def test_a_long_message_of_which_a_part_failed_failed(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1", segments=2)
    await match(pool, [part(ours, 1)])
    assert await receipt_state(stand, ours) == ("accepted", None, 0)
    await match(pool, [part(ours, 2, ReceiptState.UNDELIVERED)])
    assert await receipt_state(stand, ours) == ("accepted", "undelivered", 60)


async def test_two_long_messages_of_one_verification_number_their_receipts(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = [await attempt(stand, about, try_no=n, state="accepted", account="echo-1", segments=2) for n in (1, 2)]
    told = await match(pool, *([part(one, number)] for one in ours for number in (1, 2)))
    assert sorted(one.sequence for one in told) == [4, 5]


async def test_a_receipt_is_waited_for_until_one_says_delivered(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="unknown", account="echo-1")
    due = "SELECT receipt_due_at FROM attempts"
    await match(pool, [said(ReceiptState.SUBMITTED, ref=ours)])
    assert await stand.connection.fetchval(due) == about.expires_at + timedelta(minutes=10)
    await match(pool, [said(ReceiptState.UNDELIVERED, ref=ours)])
    assert await stand.connection.fetchval(due) == about.expires_at + timedelta(minutes=10)
    await match(pool, [said(ref=ours)])
    assert await stand.connection.fetchval(due) is None


async def test_a_receipt_two_days_late_still_counts_by_either_reference(stand: Pipeline, pool: Pool) -> None:
    past = datetime.now(UTC) - timedelta(hours=71)
    about = await issued(stand, id=uuid7_at(past), created_at=past, expires_at=past + timedelta(seconds=300))
    about = msgspec.structs.replace(about, verification_id=uuid7_at(past))
    await attempt(stand, about, state="accepted", account="echo-1", provider_id="m-1", receipt_state="unknown",
                  receipt_rank=40)  # fmt: skip
    [told] = await match(pool, [said(provider="m-1")])
    assert told.emit.ordinal == 90


ODD = Receipt(ReceiptState.UNKNOWN, provider_id="m-1", unmapped="zzz")


async def test_a_report_in_unmapped_words_is_kept_once_and_counts_as_unknown(stand: Pipeline, pool: Pool) -> None:
    about = await issued(stand)
    ours = await attempt(stand, about, state="accepted", account="echo-1", provider_id="m-1")
    for _ in range(2):
        await match(pool, [ODD])
    assert await receipt_state(stand, ours) == ("accepted", "unknown", 40)
    kept = await stand.row("SELECT id, account, gateway, raw_code, event FROM receipts_unmapped")
    assert tuple(kept) == ("r0/0", "echo-1", "echo", "zzz", b"{}")
    [told] = await unmapped(pool)
    assert (told.gateway, told.account, told.raw_code, told.reports) == ("echo", "echo-1", "zzz", 1)


PLAIN = {
    "path": "/send?t={text}",
    "method": "GET",
    "answer": "text",
    "receipt_format": "json",
    "receipt_ref": "/ref",
    "receipt_state": "/state",
    "receipt_code": "/code",
}


def applied(**options: str) -> Configuration:
    account = Account(id="plain", gateway="template", url="http://127.0.0.1:1", options=PLAIN | options)
    return Configuration(accounts={"plain": account})


async def keep(stand: Pipeline, ref: UUID, word: str, number: int, code: str = "") -> None:
    """A report in a word or with a code of its own, kept as the worker keeps it."""
    body = orjson.dumps({"ref": str(ref), "state": word, "code": code})
    event = ReceiptReceived(
        receipt_id=f"r{number}",
        account="plain",
        gateway="template",
        received_at=NOW,
        sealed=sealed(Callback("POST", "/receipts/plain", {}, body), "plain", stand.keys),
        client_ref=str(ref),
    )
    [report] = reports(event, stand.keys, applied().account("plain"))
    assert report.unmapped == (f"{word}/{code}" if code else word)
    await stand.connection.execute(
        "INSERT INTO receipts_unmapped VALUES ($1, 'plain', 'template', $2, $3, $4)",
        f"r{number}/0", report.unmapped, msgspec.json.encode(event), NOW,
    )  # fmt: skip


async def test_once_the_map_is_mended_what_was_kept_counts_and_a_second_time_changes_nothing(
    stand: Pipeline, pool: Pool
) -> None:
    about = await issued(stand)
    ours = [
        await attempt(stand, about, try_no=n, state="accepted", account="plain", receipt_state="unknown",
                      receipt_rank=40)
        for n in (1, 2, 3)
    ]  # fmt: skip
    for number, (ref, word) in enumerate(zip(ours, ("arrived", "arrived", "odd"), strict=True)):
        await keep(stand, ref, word, number)
    mended, clock = applied(**{"state.arrived": "delivered"}), WallClock()

    assert (await remap(pool, applied(), stand.keys, clock)).still_unmapped == 3
    would = await remap(pool, mended, stand.keys, clock, dry_run=True)
    assert await receipt_state(stand, ours[0]) == ("accepted", "unknown", 40)
    told = await remap(pool, mended, stand.keys, clock)
    again = await remap(pool, mended, stand.keys, clock)

    assert would == told
    assert (told.by_state, told.raised, told.still_unmapped) == ({"delivered": 2}, 2, 1)
    assert (again.by_state, again.raised, again.still_unmapped) == ({}, 0, 1)
    assert [await receipt_state(stand, one) for one in ours] == [
        ("accepted", "delivered", 90), ("accepted", "delivered", 90), ("accepted", "unknown", 40),
    ]  # fmt: skip
    assert await stand.connection.fetchval("SELECT count(*) FROM outbox") == 2
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 5
    assert [one.raw_code for one in await unmapped(pool)] == ["odd"]


async def test_once_a_code_is_known_its_report_is_off_the_list_and_its_attempt_as_it_was(
    stand: Pipeline, pool: Pool
) -> None:
    about = await issued(stand)
    ours = await attempt(
        stand, about, state="accepted", account="plain", receipt_state="undelivered", receipt_rank=60
    )  # fmt: skip
    await keep(stand, ours, "failed", 1, code="977")
    assert [one.raw_code for one in await unmapped(pool)] == ["failed/977"]

    assert (await remap(pool, applied(), stand.keys, WallClock())).still_unmapped == 1
    told = await remap(pool, applied(**{"reason.977": "configuration"}), stand.keys, WallClock())

    assert (told.by_state, told.raised, told.still_unmapped) == ({"rejected": 1}, 0, 0)
    assert await receipt_state(stand, ours) == ("accepted", "undelivered", 60)
    assert await unmapped(pool) == []
