"""The statements of checks, as functions. Rows come in and go out as values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
import structlog

from watchword.checks.budgets import Charge, charges, summed
from watchword.checks.decide import CheckFacts
from watchword.events.verification import Facts, Signals
from watchword.kernel.document import Count
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import State
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Told
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, columns, statements

log = structlog.get_logger()
_SQL = statements("watchword.checks")
_WRITES_IN_LOCK_ORDER = ("approve", "lock", "note")
_WRITES = {name: _SQL[name] for name in _WRITES_IN_LOCK_ORDER}
_ENDS = {"approve": State.APPROVED, "lock": State.LOCKED, "note": None}
_NO_CAUSE = acting.Cause()


class Found(msgspec.Struct, frozen=True):
    """A verification as a check finds it, and what the check is charged to its number's budgets."""

    facts: CheckFacts
    charged: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A verification of which a newer version wrote what this one cannot read."""


class Borne(msgspec.Struct, frozen=True):
    """Of a verification's rules what a check needs; the others are not looked at."""

    wrong_per_hour: Count
    wrong_per_day: Count


@dataclass(frozen=True, slots=True)
class Tally:
    """One check after it was counted: which one of its verification it is, from 1, the MAC to compare with, None if
    there is no code, and the number of the verification's newest event, None where that was not asked."""

    check_no: int
    mac: bytes | None = field(repr=False)
    seq: int | None = None


class Seen(msgspec.Struct, frozen=True):
    """A verification as the statement saw it that counts at once; `tally` None where nothing was counted."""

    found: Found
    countable: bool
    tally: Tally | None


class Conclusion(msgspec.Struct, frozen=True):
    """One counted check to be concluded at once: what it writes, what it gives back, its events as they are stored, and
    the number of the verification's newest event when it was counted."""

    write: Write
    seq: int
    given_back: tuple[Charge, ...]
    events: tuple[OutboxRow, ...]


async def find(connection: Connection, asked: Sequence[tuple[UUID, str]]) -> dict[UUID, Found | Unreadable]:
    """The verifications of (id, tenant), locked until the caller's transaction ends; others' are not there."""
    rows = await connection.fetch(_SQL["find"], *columns(asked, 2))
    return {row["verification_id"]: _found(row) for row in rows}


async def latest(connection: Connection, numbers: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], UUID]:
    """The newest verification of each (tenant, number token, purpose) that has one."""
    rows = await connection.fetch(_SQL["latest"], *columns(numbers, 3))
    return {(row["tenant"], row["number_token"], row["purpose"]): row["verification_id"] for row in rows}


async def charge(connection: Connection, wanted: Iterable[Charge]) -> set[str]:
    """The keys of the budgets that had room and were charged. No key may stand twice in `wanted`."""
    costs = {each.key: each.cost for each in wanted}
    rows = await connection.fetch(_SQL["charge"], list(costs), list(costs.values()))
    return {row["key"] for row in rows}


async def give_back(connection: Connection, charged: Iterable[Charge]) -> None:
    """Return charges to their budgets."""
    costs = summed(charged)
    if costs:
        await connection.execute(_SQL["give_back"], list(costs), list(costs.values()))


async def buckets(connection: Connection, keys: Sequence[str]) -> dict[str, datetime]:
    """The theoretical arrival time of each budget that was ever charged."""
    return {row["key"]: row["tat"] for row in await connection.fetch(_SQL["buckets"], keys)}


async def count_at_once(
    connection: Connection, asked: Sequence[tuple[UUID, str, int]]
) -> dict[UUID, Seen | Unreadable]:
    """The verifications of (id, tenant, wrong codes the tenant bears an hour); others' are not there. Every check that
    can be is counted and charged, or none is. A transaction of its own. Raises asyncpg.DataError if somebody came in
    between or one cannot be read, or what else Postgres raises."""
    rows = await connection.fetch(_SQL["count_at_once"], *columns(asked, 3))
    return {row["verification_id"]: _seen(row) for row in rows}


async def conclude_at_once(
    connection: Connection, wanted: Sequence[Conclusion], settled: Sequence[UUID]
) -> frozenset[UUID]:
    """The verifications that were concluded, all of it written; the others are as they were. Deletes the outbox rows
    `settled`. A transaction of its own."""
    rows = [
        (
            each.write.key,
            len(each.events),
            each.write.row[0],
            _ENDS[each.write.statement],
            _reason(each.write),
            each.seq,
        )
        for each in wanted
    ]
    back = [(each.write.key, key, cost) for each in wanted for key, cost in summed(each.given_back).items()]
    events = [
        (each.write.key, row.id, row.topic, row.key, row.value, outbox.pack(row.headers))
        for each in wanted
        for row in each.events
    ]
    told = (*columns(rows, 6), *columns(back, 3), *columns(events, 6))
    return frozenset(row["id"] for row in await connection.fetch(_SQL["conclude_at_once"], *told, settled))


async def count(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Tally]:
    """Count one check of each verification that may still be checked; the others are not there."""
    if not ids:
        return {}
    return {row["id"]: Tally(row["checks_used"], row["mac"]) for row in await connection.fetch(_SQL["count"], ids)}


async def carry_out(connection: Connection, done: Sequence[Done]) -> list[Told]:
    """Write what was decided; answers what is told because it changed something."""
    return await acting.write(connection, [(_NO_CAUSE, verdict) for verdict in done], _WRITES)


async def states(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, State]:
    """Where verifications stand now."""
    return {row["id"]: State(row["state"]) for row in await connection.fetch(_SQL["states"], ids)}


def _found(row: asyncpg.Record) -> Found | Unreadable:
    """Never raises: others' checks were counted in the same batch."""
    try:
        return Found(_facts_of(row), _charges_of(row))
    except ValueError as error:
        log.error("checks.row_unreadable", verification=str(row["verification_id"]), error=str(error))
        return Unreadable()


def _seen(row: asyncpg.Record) -> Seen | Unreadable:
    found = _found(row)
    if isinstance(found, Unreadable):
        return found
    counted = row["check_no"] is not None
    return Seen(found, row["countable"], Tally(row["check_no"], row["mac"], row["seq"]) if counted else None)


def _reason(write: Write) -> str | None:
    return write.row[1] if _ENDS[write.statement] is not None else None


def _facts_of(row: asyncpg.Record) -> CheckFacts:
    return CheckFacts(
        about=Facts(**{name: row[name] for name in Facts.__struct_fields__}),
        state=State(row["state"]),
        in_time=row["in_time"],
        requested_at=row["created_at"],
        binding_hash=row["binding_hash"],
        signals=msgspec.convert(row["signals"], Signals),
        sends_issued=row["sends_issued"],
        checks_used=row["checks_used"],
        checks_max=row["checks_max"],
    )


def _charges_of(row: asyncpg.Record) -> tuple[Charge, ...]:
    borne = msgspec.convert(row["rules"], Borne)
    return charges(row["tenant"], row["number_token"], per_hour=borne.wrong_per_hour, per_day=borne.wrong_per_day)
