"""Gathering what the checks look at: offsets, then one snapshot of the tables, then the topics up to their present end.

The order matters. What a committed offset stands for was in the tables before; what the tables hold is on the topics
after, or in the outbox of the same snapshot. So a system may go on working while it is audited.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from watchword import flow
from watchword.audit.facts import (
    Bounds,
    Codes,
    Counter,
    Facts,
    Hold,
    OpenAttempt,
    OutboxEvent,
    Parked,
    Position,
    worker_of,
)
from watchword.audit.passing import Traces
from watchword.audit.reading import Reading
from watchword.audit.sightings import Canaries
from watchword.audit.versions import Version, limits, prices_micros, results_topics, subscriptions
from watchword.contracts.topics import topics as topic_specs
from watchword.dead.letters import DEAD_TOPICS, letter_of
from watchword.events import topics
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.policy import Policy
from watchword.replay import folding
from watchword.replay.fold import FOLDED_TOPICS, Fold
from watchword.replay.live import Connection, Live, floor_of, read_live, rows, snapshot
from watchword.replay.progress import Progress
from watchword.replay.reading import Log, Slice
from watchword.runtime.kafka import Cluster
from watchword.runtime.postgres import statements

LEDGER_TIMEOUT_S = 20.0
LEDGER_BYTES_MAX = 256 * 1024 * 1024
LEDGER_CHUNK_BYTES = 1024 * 1024
BEFORE = timedelta(seconds=60)
# Callbacks tells nobody of what is older than a week; a day less, and it was younger when it was looked at.
TOLD_WITHIN = timedelta(days=6)
# Risk levels are mirrored without a group; nobody commits an offset there.
_WITHOUT_GROUP = frozenset({topics.RISK_LEVELS})
_SENDS_MAX = Policy(id="x", tenant="x", template="x").sends_max
_SQL = statements("watchword.audit")


class LedgerError(Exception):
    """The carrier's ledger cannot be had."""


@dataclass(frozen=True, slots=True)
class Order:
    """An audit as it is asked for. `since` leaves out what began before; `ledger_url` is that of the simulator."""

    cluster: Cluster
    dsn: str = field(repr=False)
    since: datetime | None = None
    grace: timedelta = timedelta(seconds=30)
    at_rest: bool = False
    canaries: Canaries = field(default_factory=Canaries)
    ledger_url: str = ""


async def gather(order: Order) -> Facts:
    """All there is to look at. Raises LedgerError, KafkaError, Silent, TooMany, OSError and asyncpg's errors."""
    carrier = await _ledger(order) if order.ledger_url else None
    async with Log(order.cluster) as log:
        committed = await log.committed(group for group in await log.groups() if worker_of(group) in flow.BY_NAME)
        async with snapshot(order.dsn) as connection:
            facts = await _tables(connection, order)
        wanted = [*(spec.name for spec in topic_specs()), *facts.results_topics]
        unseen = await log.unseen(wanted)
        slices = await log.slices(
            [each for each in wanted if each not in unseen], since=order.since and order.since - BEFORE
        )
        positions = _positions(committed, slices)
        reading = Reading(facts.live, Fold(), order.canaries, positions, facts.traces)
        progress = Progress(slices)
        horizon = await _read(log, slices, reading, facts.live.at, progress.told)
        progress.done()
    told = reading.told(frozenset(facts.letters_done))
    return replace(
        facts.facts, fold=reading.fold, horizon=horizon, carrier=carrier, unseen=unseen,
        positions=told.positions, submitted=told.submitted, answered=told.answered, passed_over=told.passed_over,
        sightings=told.sightings, letters=told.letters,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tables:
    facts: Facts
    letters_done: frozenset[str]
    traces: Traces
    results_topics: tuple[str, ...]

    @property
    def live(self) -> Live:
        return self.facts.live


async def _tables(connection: Connection, order: Order) -> _Tables:
    floor = floor_of(order.since)
    live = await read_live(connection, since=order.since)
    done = await connection.fetch(_SQL["letters_done"])
    versions = [_version(row) for row in await connection.fetch(_SQL["documents"])]
    facts = Facts(
        live=live,
        fold=Fold(),
        grace=order.grace,
        at_rest=order.at_rest,
        bounds={row["id"]: _bounds(row) async for row in rows(connection, _SQL["bounds"], floor)},
        codes={
            row["verification_id"]: Codes(row["count"], row["newest"])
            async for row in rows(connection, _SQL["codes"], floor)
        },
        open_attempts=tuple([OpenAttempt(**row) async for row in rows(connection, _SQL["open_attempts"], floor)]),
        outbox=tuple([_outbox(row) async for row in rows(connection, _SQL["outbox"])]),
        parked=tuple([Parked(**row) async for row in rows(connection, _SQL["parked"])]),
        counters=tuple([Counter(**row) async for row in rows(connection, _SQL["counters"])]),
        holds=tuple([_hold(row) async for row in rows(connection, _SQL["holds"])]),
        limits=limits(versions),
        prices_micros=prices_micros(versions),
    )
    return _Tables(
        facts,
        frozenset(f"{row['topic']}/{row['partition']}/{row['record_offset']}" for row in done),
        await _traces(connection, facts, versions, floor),
        results_topics(versions),
    )


async def _traces(connection: Connection, facts: Facts, versions: Sequence[Version], floor: UUID) -> Traces:
    """What receipts and callbacks left, and what of it is missing."""
    told = subscriptions(versions)
    columns = ([each.tenant for each in told], [each.endpoint for each in told], [each.since for each in told])
    since = max(floor, floor_of(facts.live.at - TOLD_WITHIN))
    untold: dict[UUID, tuple[str, ...]] = {}
    async for row in rows(connection, _SQL["untold"], since, *columns, VerificationEnded.NAME):
        untold[row["verification_id"]] = (*untold.get(row["verification_id"], ()), row["endpoint"])
    return Traces(
        parked=frozenset(each.id.rpartition("/")[0] for each in facts.parked),
        in_parts=frozenset([row["id"] async for row in rows(connection, _SQL["in_parts"], floor)]),
        counting=frozenset(row["id"] for row in await connection.fetch(_SQL["counting_parts"])),
        untold=untold,
    )


def _bounds(row: asyncpg.Record) -> Bounds:
    rules = msgspec.json.decode(row["rules"])
    return Bounds(row["checks_max"], int(rules.get("sends_max", _SENDS_MAX)))


def _version(row: asyncpg.Record) -> Version:
    document = msgspec.json.decode(row["document"])
    return Version(row["kind"], row["id"], document, row["since"], row["until"], row["retired"])


def _hold(row: asyncpg.Record) -> Hold:
    return Hold(row["verification_id"], row["send_no"], row["price_micros"], tuple(row["counters"]))


def _outbox(row: asyncpg.Record) -> OutboxEvent:
    return OutboxEvent(row["id"], row["topic"], (row["key"] or b"").decode("utf-8", "replace"), row["created_at"])


async def _read(
    log: Log, slices: Sequence[Slice], reading: Reading, now: datetime, told: Callable[[int], None]
) -> datetime:
    """Dead topics first, so that the records they were made of are known when they are met. Answers the horizon."""
    async for records in log.read([each for each in slices if each.topic in DEAD_TOPICS], told=told):
        for record in records:
            reading.saw_letter(letter_of(record, log.plain(record)))
    alive = [each for each in slices if each.topic not in DEAD_TOPICS]
    horizon = folding.Horizon([each for each in alive if each.topic in FOLDED_TOPICS], now)
    async for records in log.read(alive, told=told):
        for record, entry in zip(records, folding.entries(log, records), strict=True):
            horizon.saw(entry)
            reading.saw(entry, record.key)
    return horizon.at


def _positions(committed: Mapping[str, Mapping[tuple[str, int], int]], slices: Sequence[Slice]) -> tuple[Position, ...]:
    """Where each worker's groups stand in each topic that it reads; at the beginning where it never committed."""
    found = []
    for worker in flow.WORKERS:
        for topic in sorted({*worker.reads} - _WITHOUT_GROUP):
            groups = [
                group for group, offsets in committed.items()
                if worker_of(group) == worker.name and any(name == topic for name, _ in offsets)
            ]  # fmt: skip
            for group in groups or [worker.name]:
                offsets = committed.get(group, {})
                found += [
                    Position(group, topic, s.partition, offsets.get((topic, s.partition), s.first), s.first, s.end)
                    for s in slices
                    if s.topic == topic
                ]
    return tuple(found)


async def _ledger(order: Order) -> dict[str, int]:
    """How many SMS reached phones, by reference; before the snapshot, so that every claim it tells of is there.

    Raises LedgerError.
    """
    try:
        async with _session() as session, session.get(f"{order.ledger_url.rstrip('/')}/ledger") as answer:
            body = bytearray()
            async for chunk in answer.content.iter_chunked(LEDGER_CHUNK_BYTES):
                body += chunk
                if len(body) > LEDGER_BYTES_MAX:
                    raise LedgerError(f"{order.ledger_url} tells more than {LEDGER_BYTES_MAX} bytes")
            if answer.status != 200:
                raise LedgerError(f"{order.ledger_url} answers {answer.status}")
            told: dict[str, dict[str, int]] = msgspec.json.decode(body)
            floor = str(floor_of(order.since))
            return {reference: count for reference, count in told["delivered"].items() if reference >= floor}
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, KeyError) as error:
        raise LedgerError(f"{order.ledger_url}: {error!r}") from error


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LEDGER_TIMEOUT_S)) as session:
        yield session
