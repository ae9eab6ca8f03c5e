"""The statements of intake, as functions. Rows come in and go out as values; locks are taken in the order of
store.sql."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from watchword.events import topics
from watchword.events.verification import Facts, Signals
from watchword.intake.decide import Found, Standing, Stored
from watchword.intake.limits import Limit
from watchword.intake.request import Request, Start
from watchword.intake.subjects import Subject
from watchword.kernel.document import read_stored
from watchword.kernel.ids import attempt_span
from watchword.kernel.instant import from_us, to_us
from watchword.kernel.policy import Policy
from watchword.kernel.verdict import Done, Write
from watchword.kernel.verification import State
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Cause, Told
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, columns, statements

_SQL = statements("watchword.intake")
_WRITES_IN_LOCK_ORDER = ("begin", "resend", "cancel", "give_feedback", "fill_bucket", "keep_answer", "forget_key")
_WRITES = {name: _SQL[name] for name in _WRITES_IN_LOCK_ORDER}
_BEGINNING_COLUMNS = 32
_NEVER = from_us(0)


@dataclass(frozen=True, slots=True)
class Window:
    """What a page is taken from: ids below `below` and from `floor` on, and the filters. `reference` "" is any."""

    tenant: str
    reference: str
    states: tuple[str, ...]
    created_from: datetime
    created_to: datetime
    floor: UUID
    below: UUID
    rows_max: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page; the next one begins below `goes_on_below`, None where there is none."""

    rows: tuple[asyncpg.Record, ...]
    goes_on_below: UUID | None


@dataclass(frozen=True, slots=True)
class Beginning:
    """One verification to be begun at once: `row` as `begin_at_once` takes it, its first event, what it takes from."""

    row: tuple[Any, ...] = field(repr=False)
    event: OutboxRow
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of it. `known_key` is the wrapped data key of a number that has one, where only that can have been in
    the way; `tat` how the tenant's bucket was left."""

    begun: bool
    known_key: bytes | None = field(default=None, repr=False)
    tat: datetime = _NEVER


Shown = Callable[[asyncpg.Record], str]
Pointer = tuple[str, str, str]  # tenant, number token, purpose


class KeyHeld(Exception):
    """An idempotency key of the batch is held by another process for longer than a batch may wait."""


async def hold(connection: Connection, requests: Sequence[Request], shown: Shown) -> list[Found]:
    """What the database holds about each request, locked until the caller's transaction ends.

    `shown` masks the number in a verification's row. Raises KeyHeld, or what Postgres raises.
    """
    stored = await _hold_keys(connection, requests)
    latest = await _hold_latest(connection, [each for each in requests if isinstance(each, Start)])
    named = {each.verification_id for each in requests if not isinstance(each, Start)}
    rows = await _hold_verifications(connection, named | {each for each in latest.values() if each is not None})
    found = []
    for each in requests:
        row = rows.get(latest[_pointer(each)] if isinstance(each, Start) else each.verification_id)
        mine = row is not None and row["tenant"] == each.asker.tenant.id
        standing = _standing(row, each, shown) if row is not None and mine else None
        found.append(Found(standing, stored.get(_key_of(each))))
    return found


async def hold_buckets(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """The theoretical arrival time of every bucket, in microseconds since 1970, locked."""
    if not keys:
        return {}
    return {row["key"]: to_us(row["tat"]) for row in await connection.fetch(_SQL["hold_buckets"], sorted(keys))}


async def subjects(connection: Connection, fresh: Mapping[Subject, bytes]) -> dict[Subject, bytes]:
    """The wrapped data key of each subject: the one in `fresh` where it had none."""
    keys: dict[Subject, bytes] = {}
    while missing := [subject for subject in fresh if subject not in keys]:  # again if one is forgotten in between
        rows = sorted((*subject, fresh[subject]) for subject in missing)
        added = await connection.fetch(_SQL["add_subjects"], *columns(rows, 3))
        keys |= {(row["tenant"], row["number_token"]): row["wrapped_key"] for row in added}
        known = [subject for subject in missing if subject not in keys]
        if known:
            read = await connection.fetch(_SQL["subjects"], *columns(known, 2))
            keys |= {(row["tenant"], row["number_token"]): row["wrapped_key"] for row in read}
    return keys


async def begin_at_once(
    connection: Connection, beginnings: Sequence[Beginning], settled: Sequence[UUID], now: datetime
) -> dict[str, Begun]:
    """Begin every verification that nothing stands in the way of, and delete the outbox rows `settled`; by id what came
    of each. A transaction of its own. Raises DivisionByZeroError if somebody came in between, or what Postgres raises.
    """
    limits = [
        (each.row[0], limit.key, _lasting(spacing_us := limit.rate.spacing_us), _lasting(limit.rate.burst * spacing_us))
        for each in beginnings
        for limit in each.limits
    ]
    events = [
        (
            each.row[0],
            each.event.id,
            each.event.topic,
            each.event.key,
            each.event.value,
            outbox.pack(each.event.headers),
        )
        for each in beginnings
    ]
    rows = await connection.fetch(
        _SQL["begin_at_once"],
        *columns([each.row for each in beginnings], _BEGINNING_COLUMNS),
        *columns(limits, 4),
        now,
        *columns(events, 6),
        settled,
    )
    return {str(row["id"]): Begun(row["begun"], row["known_key"], row["tat"] or _NEVER) for row in rows}


async def carry_out(
    connection: Connection, done: Sequence[tuple[Cause, Done]], buckets: Mapping[str, int]
) -> list[Told]:
    """Write what was decided and the buckets it was taken from; answers what is told."""
    filled = Done(tuple(Write("fill_bucket", key, (from_us(tat_us),)) for key, tat_us in buckets.items()))
    return await acting.write(connection, [*done, (Cause(), filled)], _WRITES)


async def read(connection: Connection, verification: UUID, tenant: str) -> asyncpg.Record | None:
    """One verification of a tenant, unlocked; None for one that is not or is another tenant's."""
    return await connection.fetchrow(_SQL["read_verification"], verification, tenant)


async def attempts(connection: Connection, verification: UUID) -> list[asyncpg.Record]:
    """Every attempt to send a verification's code, in order."""
    return list(await connection.fetch(_SQL["read_attempts"], verification))


async def tried(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Those of `ids` whose newest send was tried, or that have ended."""
    rows = [(each, *attempt_span(each)) for each in ids]
    return {row["id"] for row in await connection.fetch(_SQL["tried"], *columns(rows, 3))}


async def page(connection: Connection, window: Window, *, looked_at_max: int) -> Page:
    """A page of a tenant's verifications, newest first, of at most `looked_at_max` rows that were looked at."""
    by_reference = (_SQL["page_of_reference"], window.reference) if window.reference else (_SQL["page"],)
    statement, *further = by_reference
    async with connection.transaction(readonly=True):
        await connection.execute(_SQL["weeks_left_out"])
        found = await connection.fetch(
            statement,
            window.tenant,
            window.floor,
            window.below,
            looked_at_max,
            window.states,
            window.created_from,
            window.created_to,
            window.rows_max + 1,
            *further,
        )
    rows = tuple(row for row in found if row["verification_id"] is not None)
    if len(rows) > window.rows_max:
        return Page(rows[: window.rows_max], rows[window.rows_max - 1]["verification_id"])
    return Page(rows, found[0]["lowest"] if found[0]["looked_at"] == looked_at_max else None)


async def backlog_s(connection: Connection) -> float:
    """The age of the oldest event on one of our topics that Kafka does not have yet, 0 if it has all."""
    return float(await connection.fetchval(_SQL["backlog"], topics.ALL) or 0.0)


async def _hold_keys(connection: Connection, requests: Sequence[Request]) -> dict[tuple[str, str], Stored]:
    wanted = sorted(
        (each.asker.tenant.id, each.asker.repeat.key, each.asker.repeat.fingerprint)
        for each in requests
        if each.asker.repeat is not None
    )
    if not wanted:
        return {}
    try:
        rows = await connection.fetch(_SQL["hold_keys"], *columns(wanted, 3))
    except asyncpg.LockNotAvailableError as error:
        raise KeyHeld from error
    return {(row["tenant"], row["key"]): Stored(row["fingerprint"], row["status"], row["answer"]) for row in rows}


async def _hold_latest(connection: Connection, starts: Sequence[Start]) -> dict[Pointer, UUID | None]:
    if not starts:
        return {}
    wanted = sorted({_pointer(each) for each in starts})
    rows = await connection.fetch(_SQL["hold_latest"], *columns(wanted, 3))
    return {(row["tenant"], row["number_token"], row["purpose"]): row["verification_id"] for row in rows}


async def _hold_verifications(connection: Connection, ids: Collection[UUID]) -> dict[UUID | None, asyncpg.Record]:
    if not ids:
        return {}
    return {row["verification_id"]: row for row in await connection.fetch(_SQL["hold_verifications"], sorted(ids))}


def _standing(row: asyncpg.Record, request: Request, shown: Shown) -> Standing:
    return Standing(
        about=Facts(**{name: row[name] for name in Facts.__struct_fields__}),
        state=State(row["state"]),
        rules=read_stored(row["rules"], Policy),
        binding_hash=row["binding_hash"],
        signals=msgspec.convert(row["signals"], Signals),
        sends_requested=row["sends_requested"],
        sends_assessed=row["sends_assessed"],
        sends_issued=row["sends_issued"],
        checks_used=row["checks_used"],
        created_at=row["created_at"],
        next_send_at=row["next_send_at"],
        feedback=row["feedback"],
        feedback_no=row["feedback_no"],
        shown_number=request.number.e164.masked() if isinstance(request, Start) else shown(row),
    )


def _lasting(count: int) -> timedelta:
    return timedelta(microseconds=count)


def _pointer(request: Start) -> Pointer:
    return request.asker.tenant.id, request.number_token, request.purpose


def _key_of(request: Request) -> Any:
    repeat = request.asker.repeat
    return (request.asker.tenant.id, repeat.key) if repeat is not None else None
