"""Receipts the shorter way (runtime/at_once.py): whatever lies in a batch, rows and events are those of the usual way,
and what moves between the look and the writing is done under locks."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition

from tests.support.pipeline import Pipeline
from tests.support.rows import attempt, issued
from watchword.events.envelope import Envelope
from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.contract import Receipt
from watchword.kernel.verdict import Done
from watchword.kernel.verification import RECEIPT_RANK, ReceiptState
from watchword.receipts.decide import ReceiptFacts, Report, alone, decide
from watchword.receipts.store import SQL, WRITES_IN_LOCK_ORDER, Meant, looked_at, meant
from watchword.receipts.worker import once_each, recorded_at_once
from watchword.runtime import acting, at_once
from watchword.runtime.at_once import Move, Seen, move_of
from watchword.runtime.incoming import Incoming, cause_of
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, Pool

ROLE = "receipts"
BATCHES = 60

NOW = datetime.now(UTC)
ORIGIN = Envelope(id="cause", source="/test", type="t", time=NOW, subject="s")
TABLES = {
    "attempts": "SELECT * FROM attempts ORDER BY id",
    "verifications": "SELECT id, state, seq, due_at FROM verifications ORDER BY id",
    "parked": "SELECT id, account, client_ref, provider_id, event FROM receipts_parked ORDER BY id",
    "unmapped": "SELECT * FROM receipts_unmapped ORDER BY id",
}

Batch = Sequence[tuple[Incoming, Sequence[Receipt]]]
Outcome = tuple[list[OutboxRow], dict[str, list[dict[str, Any]]]]


def batch_of(*callbacks: Sequence[Receipt], account: str = "echo-1") -> Batch:
    """Callbacks of one turn, each under a key of its own."""
    return [
        (
            Incoming(
                ReceiptReceived(
                    receipt_id=f"r{number}", account=account, gateway="echo", received_at=NOW, sealed="AQ=="
                ),
                ORIGIN, f"k{number}", TopicPartition("t", 0), number, None,
            ),
            receipts,
        )
        for number, receipts in enumerate(callbacks)
    ]  # fmt: skip


def told_in(batch: Batch) -> list[tuple[str, Receipt]]:
    return [(account_of(incoming), receipt) for incoming, receipts in batch for receipt in receipts]


def account_of(incoming: Incoming) -> str:
    assert isinstance(incoming.event, ReceiptReceived)
    return incoming.event.account


def facts_of(batch: Batch, known: Meant) -> dict[str, ReceiptFacts]:
    return {
        incoming.key: ReceiptFacts(
            tuple(Report(n, one, known.of(account_of(incoming), one)) for n, one in enumerate(receipts)), value=b"{}"
        )
        for incoming, receipts in batch
    }


def decided(incoming: Incoming, facts: ReceiptFacts) -> Done:
    verdict = decide(incoming.event, facts, NOW)
    assert isinstance(verdict, Done)
    return verdict


def rows_of(told: Sequence[acting.Told]) -> list[OutboxRow]:
    return [acting.outbox_row(each, "receipts", NOW) for each in told]


async def usual_way(connection: Connection, batch: Batch) -> list[OutboxRow]:
    """What the loop does under locks; answers the events."""
    facts = facts_of(batch, await meant(connection, told_in(batch)))
    done = [(cause_of(incoming), decided(incoming, facts[incoming.key])) for incoming, _ in batch]
    return rows_of(once_each(await acting.write(connection, done, WRITES_IN_LOCK_ORDER)))


async def looked(connection: Connection, batch: Batch) -> dict[str, Move]:
    """What of a batch goes the shorter way, by key."""
    known = await looked_at(connection, told_in(batch))
    facts = facts_of(batch, known)
    incoming = {each.key: each for each, _ in batch}
    moves = {
        key: move_of(
            incoming[key],
            decided(incoming[key], facts[key]),
            Seen(facts[key], known.newest[verification], str(verification)),
            recorded_at_once,
        )
        for key, verification in alone(facts).items()
    }
    return {key: move for key, move in moves.items() if move is not None}


async def written(connection: Connection, batch: Batch, moves: Mapping[str, Move]) -> tuple[list[OutboxRow], Batch]:
    """The moves carried out; answers their events, and what is left to the usual way."""
    rows = {move.verification: rows_of(move.told) for move in moves.values()}
    statement = SQL["record_at_once"]
    done = await at_once.write(connection, statement, list(moves.values()), rows, ()) if moves else frozenset()
    left = [each for each in batch if (move := moves.get(each[0].key)) is None or move.verification not in done]
    return [row for verification in rows if verification in done for row in rows[verification]], left


async def shorter_way(connection: Connection, batch: Batch) -> list[OutboxRow]:
    """What the loop does: at once what can be, the rest under locks."""
    told, left = await written(connection, batch, await looked(connection, batch))
    return told + (await usual_way(connection, left) if left else [])


async def outcome(pool: Pool, way: Callable[[Connection, Batch], Awaitable[list[OutboxRow]]], batch: Batch) -> Outcome:
    """The events a way tells and the rows it leaves; all of it is taken back."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            told = await way(connection, batch)
            left = {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in TABLES.items()}
            return sorted(told, key=lambda row: row.id), left
        finally:
            await transaction.rollback()


async def attempts_of_all_kinds(stand: Pipeline, draw: random.Random) -> list[tuple[UUID, str]]:
    """Ten verifications with one or two attempts each: their ids, and what providers call them."""
    made: list[tuple[UUID, str]] = []
    for number in range(10):
        about = await issued(stand, number=f"+9198765432{number:02}")
        for try_no in range(1, draw.choice((1, 1, 2)) + 1):
            known = draw.choice((None, None, *ReceiptState))
            columns: dict[str, Any] = {
                "state": draw.choice(("sending", "accepted", "accepted", "unknown", "deferred", "queued")),
                "account": draw.choice(("echo-1", "echo-1", "echo-1", "echo-2", "")),
                "provider_id": draw.choice(("", f"m{number}-{try_no}")),
                "receipt_state": known.value if known else None,
                "receipt_rank": RECEIPT_RANK[known] if known else 0,
                "segments": draw.choice((0, 1, 2)),
                "receipt_due_at": draw.choice((None, NOW)),
                "receipt_ask_at": draw.choice((None, NOW)),
            }
            made.append((await attempt(stand, about, try_no=try_no, **columns), str(columns["provider_id"])))
    return made


def drawn(draw: random.Random, known: Sequence[tuple[UUID, str]]) -> Receipt:
    ref, provider_id = draw.choice((*known, (uuid4(), "stranger")))
    state = draw.choice((ReceiptState.DELIVERED, *ReceiptState))
    unmapped = draw.choice(("", "", "", "", "odd"))
    return Receipt(
        ReceiptState.UNKNOWN if unmapped else state,
        client_ref=draw.choice((str(ref), "")),
        provider_id=draw.choice((provider_id, "")),
        part=draw.choice((0, 0, 0, 1, 2)),
        unmapped=unmapped,
    )


async def test_either_way_a_batch_comes_to_the_same_rows_and_events(stand: Pipeline, pool: Pool) -> None:
    """Repeats, disorder, strangers, parts, other accounts' attempts, odd words, several reports of a message: drawn."""
    draw = random.Random(59)
    known = await attempts_of_all_kinds(stand, draw)
    moved = left = 0
    for _ in range(BATCHES):
        callbacks = [[drawn(draw, known) for _ in range(draw.choice((1, 1, 1, 2)))] for _ in range(draw.randint(1, 6))]
        batch = batch_of(*callbacks)
        usual = await outcome(pool, usual_way, batch)
        assert await outcome(pool, shorter_way, batch) == usual
        async with pool.acquire() as connection:
            moves = await looked(connection, batch)
        moved, left = moved + len(moves), left + len(batch) - len(moves)
    assert min(moved, left) > BATCHES / 4, "both ways are gone"


def said(state: ReceiptState, ref: UUID) -> Receipt:
    return Receipt(state, client_ref=str(ref), provider_id="m-1")


async def sent(stand: Pipeline) -> UUID:
    return await attempt(stand, await issued(stand), state="accepted", account="echo-1")


async def state_of(stand: Pipeline) -> tuple[object, ...]:
    query = "SELECT a.receipt_state, v.seq FROM attempts AS a JOIN verifications AS v ON v.id = a.verification_id"
    return tuple(await stand.row(query))


async def test_what_another_report_raised_meanwhile_is_raised_further_under_the_next_number(
    stand: Pipeline, pool: Pool
) -> None:
    ours = await sent(stand)
    early, late = batch_of([said(ReceiptState.ENROUTE, ours)]), batch_of([said(ReceiptState.DELIVERED, ours)])
    async with pool.acquire() as connection, pool.acquire() as other:
        moves = await looked(connection, late)
        assert len(moves) == 1
        first = await usual_way(other, early)
        told, left = await written(connection, late, moves)
        assert (told, left) == ([], late)
        second = await usual_way(connection, left)
    assert [dict(row.headers)["ce_sequence"] for row in (*first, *second)] == [b"4", b"5"]
    assert await state_of(stand) == ("delivered", 5)


async def test_what_another_report_said_meanwhile_is_not_said_again(stand: Pipeline, pool: Pool) -> None:
    ours = await sent(stand)
    batch = batch_of([said(ReceiptState.DELIVERED, ours)])
    async with pool.acquire() as connection, pool.acquire() as other:
        moves = await looked(connection, batch)
        await usual_way(other, batch)
        told, left = await written(connection, batch, moves)
        assert (told, await usual_way(connection, left)) == ([], [])
    assert await state_of(stand) == ("delivered", 4)


@pytest.mark.parametrize("change", ["account = 'echo-2'", "receipt_state = 'delivered', receipt_rank = 90"])
async def test_the_statement_itself_asks_for_account_and_rank(stand: Pipeline, pool: Pool, change: str) -> None:
    """Whatever changes them without a word: no event bears a number, and none is skipped."""
    ours = await sent(stand)
    batch = batch_of([said(ReceiptState.UNDELIVERED, ours)])
    async with pool.acquire() as connection:
        moves = await looked(connection, batch)
        await stand.connection.execute(f"UPDATE attempts SET {change}")
        before = await stand.row("SELECT * FROM attempts")
        assert await written(connection, batch, moves) == ([], batch)
    assert await stand.row("SELECT * FROM attempts") == before
    assert (await stand.row("SELECT seq FROM verifications"))["seq"] == 3


async def test_an_account_cannot_report_on_anothers_attempt_at_once(stand: Pipeline, pool: Pool) -> None:
    ours = await sent(stand)
    batch = batch_of([replace(said(ReceiptState.DELIVERED, ours), provider_id="")], account="echo-2")
    async with pool.acquire() as connection:
        assert await looked(connection, batch) == {}
