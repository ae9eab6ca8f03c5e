"""Records of Kafka: headers of any name and bytes, and the values of every event."""

from collections.abc import Iterator

import msgspec
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.contract.events.contract_cases import EXAMPLES
from watchword.events import catalog, envelope
from watchword.runtime.records import Records

_TYPES = sorted({f"otp.{event.NAME}.v{major}" for event in catalog.EVENTS for major in range(1, event.MAJOR + 1)})
_BATCH_BYTES = 1 << 20
_MAGIC, _PLAIN, _NOBODY = 2, 0, -1


class _AnyBytes(str):
    """A name that is written as the bytes it was made of, as clients in other languages can."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("latin-1")


def headers(data: bytes) -> None:
    """Headers that a publisher wrote come out of a batch as they went in, names that are no text with marks in them;
    and they are an envelope, or are refused."""
    written = [_header(line) for line in data.split(b"\n")]
    read = _through_a_batch(written)
    assert read == [(name.decode("utf-8", "replace"), value) for name, value in written]
    try:
        known = envelope.read([(name, value) for name, value in read if value is not None])
    except ValueError:
        return
    assert known.id and known.type and known.sequence >= 0
    assert known.time.utcoffset() is not None
    assert known.expires_at is None or known.expires_at.utcoffset() is not None


def value(data: bytes) -> None:
    """Any value under any type of event is that event in its newest version, which is written and read as itself; or
    is refused."""
    wire_type = _TYPES[data[0] % len(_TYPES)] if data else _TYPES[0]
    try:
        event = catalog.decode(wire_type, data[1:])
    except catalog.UnreadableEvent as refusal:
        assert len(str(refusal)) <= 200
        return
    again = envelope.encode(event)
    assert envelope.encode(catalog.decode(envelope.type_of(type(event)), again)) == again


def _header(line: bytes) -> tuple[bytes, bytes | None]:
    name, sign, told = line.partition(b"=")
    return name, told if sign else None


def _through_a_batch(written: list[tuple[bytes, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """The headers of one record, written as any client may write them and read as ours reads."""
    builder = _DefaultRecordBatchBuilderPy(_MAGIC, _PLAIN, 0, _NOBODY, _NOBODY, _NOBODY, _BATCH_BYTES)
    named = [(_AnyBytes(name.decode("latin-1")), told) for name, told in written]
    builder.append(0, 1_000, b"key", b"value", named)
    records = Records(bytes(builder.build()))
    return [header for record in records.next_batch() for header in record.headers]


def header_seeds() -> Iterator[bytes]:
    """An envelope, whole, and with names that are no text."""
    told = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/shop"), ("ce_type", b"otp.code-issued.v1")]
    told += [("ce_time", b"2026-03-01T12:00:00.000Z"), ("ce_sequence", b"4"), ("ce_expirytime", b"2026-03-01T12:05Z")]
    lines = b"\n".join(name.encode() + b"=" + said for name, said in told)
    yield lines
    yield b"\xff\xfe=x\n" + lines + b"\nempty"


def value_seeds() -> Iterator[bytes]:
    """The published examples."""
    for example in EXAMPLES:
        wire_type = f"otp.{example.struct.NAME}.v{example.version.major}"
        yield bytes((_TYPES.index(wire_type),)) + msgspec.json.encode(example.value)
