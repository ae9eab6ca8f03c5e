"""The outbox: an event is committed with the change it tells of, published at once, then deleted.

Whoever commits a row publishes it; `timers` publishes what stays behind. Deleting on publish is immune to the
order in which transactions commit, which reading "everything after the last id" is not.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.envelope import Envelope
from watchword.events.verification import VerificationEvent
from watchword.kernel.event import Emit
from watchword.kernel.ids import event_id, text_of
from watchword.runtime.postgres import Connection
from watchword.runtime.publishing import Outgoing

# What a dead letter keeps of a record: anybody's record may be as large as Kafka takes, and no letter larger than that.
KEY_BYTES_MAX: Final = 4_096
HEADER_BYTES_MAX: Final = 65_536
VALUE_BYTES_MAX: Final = 524_288

INSERT = """
INSERT INTO outbox (id, topic, key, value, headers)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
ON CONFLICT (id) DO NOTHING
"""
_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])
DELETE = "DELETE FROM outbox WHERE id = ANY($1::uuid[])"
SETTLE_AND_INSERT = f"WITH settled AS (DELETE FROM outbox WHERE id = ANY($6::uuid[])) {INSERT}"


Headers = tuple[tuple[str, bytes], ...]


class _TriedOut(Exception):
    """Takes back what was only tried."""


class OutboxRow(msgspec.Struct, frozen=True):
    """One event, ready to be stored and published. `headers` are name and value, both text."""

    id: UUID
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    def outgoing(self) -> Outgoing:
        """The record to publish."""
        return Outgoing(self.topic, self.key, self.value, self.headers)


class Origin(msgspec.Struct, frozen=True):
    """Where an event comes from: the worker that tells it, when, and the event that caused it."""

    worker: str
    now: datetime
    causation_id: str = ""
    correlation_id: str = ""
    traceparent: str = ""


def row(emit: Emit, origin: Origin, *, sequence: int) -> OutboxRow:
    """The outbox row of one emitted event; `sequence` is 0 for one that is not counted."""
    event = emit.event
    kind = type(event)
    identity = event_id(emit.subject, event.NAME, emit.ordinal)
    key = emit.key or emit.subject
    about = event if isinstance(event, VerificationEvent) else None
    told = Envelope(
        id=text_of(identity),
        source=f"/watchword/{origin.worker}",
        type=envelopes.type_of(kind),
        time=origin.now,
        subject=text_of(about.verification_id) if about else emit.subject,
        tenant=about.tenant if about else getattr(event, "tenant", ""),
        sequence=sequence,
        expires_at=about.expires_at if about else None,
        correlation_id=emit.correlation or origin.correlation_id,
        causation_id=origin.causation_id,
        partition_key=key,
        traceparent=origin.traceparent,
    )
    return OutboxRow(
        id=identity,
        topic=emit.topic or event.TOPIC,
        key=key.encode(),
        value=envelopes.encode(event),
        headers=tuple(envelopes.headers(kind, told)),
    )


def dead_row(
    topic: str,
    position: tuple[int, int],
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]],
    reason: tuple[str, str],
) -> OutboxRow:
    """The dead letter of one record: key, value and headers untouched, and beside them why and from where.

    `position` is partition and offset, `reason` a stable word and a detail without values. What is too large for a
    letter is withheld, and said to be: the record itself lies at its position for as long as its topic is kept.
    """
    partition, offset = position
    word, detail = reason
    why = (
        ("wwd_reason", word.encode()),
        ("wwd_detail", detail.encode()),
        ("wwd_topic", topic.encode()),
        ("wwd_partition", str(partition).encode()),
        ("wwd_offset", str(offset).encode()),
    )
    identity = event_id(f"{topic}/{partition}/{offset}", "dead", 0)
    key, value, kept, withheld = _as_large_as_letters_are(key, value, tuple(headers))
    if key is None and value is None:
        key = b""  # some client wrote a record of nothing; ours refuses to
    return OutboxRow(identity, topics.dead(topic), key, value, (*kept, *why, *withheld))


def _as_large_as_letters_are(
    key: bytes | None, value: bytes | None, headers: Headers
) -> tuple[bytes | None, bytes | None, Headers, Headers]:
    withheld = []
    if value is not None and len(value) > VALUE_BYTES_MAX:
        withheld.append(f"value of {len(value)} bytes, sha256 {sha256(value).hexdigest()}")
        value = None
    if key is not None and len(key) > KEY_BYTES_MAX:
        withheld.append(f"key of {len(key)} bytes")
        key = b""
    if (size := sum(len(name.encode()) + len(text) for name, text in headers)) > HEADER_BYTES_MAX:
        withheld.append(f"{len(headers)} headers of {size} bytes")
        headers = ()
    return key, value, headers, (("wwd_withheld", "; ".join(withheld).encode()),) if withheld else ()


def reasons(rows: Iterable[OutboxRow]) -> list[str]:
    """Why each dead letter among the rows was buried. Ours is the last header of that name."""
    return [dict(row.headers)["wwd_reason"].decode() for row in rows if row.topic.endswith(topics.dead(""))]


async def store(connection: Connection, rows: Sequence[OutboxRow], *, settled: Sequence[UUID] = ()) -> None:
    """Insert rows within the caller's transaction, and delete the `settled` ones, which Kafka has acknowledged. A row
    that is there already stays as it is."""
    if rows and settled:
        await connection.execute(SETTLE_AND_INSERT, *_columns(rows), settled)
    elif rows:
        await connection.execute(INSERT, *_columns(rows))
    elif settled:
        await settle(connection, settled)


async def try_out(connection: Connection) -> None:
    """See whether an event could be stored now, and store none. Raises what Postgres raises where it could not."""
    try:
        async with connection.transaction():
            await store(connection, [OutboxRow(uuid4(), "", b"", None, ())])
            raise _TriedOut
    except _TriedOut:
        return


async def settle(connection: Connection, ids: Sequence[UUID]) -> None:
    """Delete the rows that Kafka has acknowledged."""
    if ids:
        await connection.execute(DELETE, ids)


def _columns(rows: Sequence[OutboxRow]) -> tuple[list[Any], ...]:
    return (
        [each.id for each in rows],
        [each.topic for each in rows],
        [each.key for each in rows],
        [each.value for each in rows],
        [pack(each.headers) for each in rows],
    )


def pack(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Headers as they are stored: MessagePack, which keeps bytes as they are."""
    return _packer.encode(tuple(headers))


def unpack(packed: bytes) -> Headers:
    """The headers that `pack` stored."""
    return _unpacker.decode(packed)
