"""Header names that are no UTF-8: any publisher can write one, and the client cannot read it, nor what is behind it.

Kafka keeps whatever bytes a client sends as the name of a header, and names nothing that refuses them. The client
decodes names strictly, in the middle of a fetch: one such record in otp.inbox ended every process that came to its
partition, one after the other. Here its batch is read anew, record by record, with U+FFFD for what is no UTF-8; then
it is a record like others, which has all it needs or is buried. Batches without such a name are read as before.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

Header = tuple[str, bytes | None]

_LENGTH: Final = Struct(">i")
_LENGTH_AT: Final = 8


def read_any_header_name() -> None:
    """Have every consumer of this process read header names of any bytes."""
    fetcher.MemoryRecords = Records


class Records:
    """The batches of one fetch, as the client's fetcher asks for them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._batches = MemoryRecords(data)

    def has_next(self) -> bool:
        """Whether there is one more batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> "Batch":
        """The next batch. Raises CorruptRecordException."""
        batch = self._batches.next_batch()
        (length,) = _LENGTH.unpack_from(self._data, self._at + _LENGTH_AT)
        start, self._at = self._at, self._at + _LENGTH_AT + _LENGTH.size + length
        return Batch(batch, memoryview(self._data)[start : self._at])

    def size_in_bytes(self) -> int:
        """How large all of them are."""
        return int(self._batches.size_in_bytes())


class Batch:
    """One batch. All but the reading of its records is the client's."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        last = -1
        try:
            for record in self._batch:
                last = record.offset
                yield record
        except UnicodeDecodeError:
            batch = _DefaultRecordBatchPy(self._data)  # older formats know no headers
            batch._maybe_uncompress()
            yield from (record for record in _records_of(batch) if record.offset > last)


def _records_of(batch: _DefaultRecordBatchPy) -> Iterator[_DefaultRecordPy]:
    """Records as Kafka's protocol lays them out: RecordBatch, magic 2."""
    data, at = batch._buffer, batch._pos
    for _ in range(batch._num_records):
        length, at = decode_varint(data, at)
        end = at + length
        _attributes, at = decode_varint(data, at)
        after_first, at = decode_varint(data, at)
        offset, at = decode_varint(data, at)
        key, at = _bytes_at(data, at)
        value, at = _bytes_at(data, at)
        headers, at = _headers_at(data, at)
        if at != end:
            raise CorruptRecordException(f"a record of {length} bytes ends {at - end} bytes off")
        kind = batch.timestamp_type
        at_ms = batch.max_timestamp if kind == batch.LOG_APPEND_TIME else batch.first_timestamp + after_first
        yield _DefaultRecordPy(batch.base_offset + offset, at_ms, kind, key, value, headers)


def _headers_at(data: bytearray, at: int) -> tuple[list[Header], int]:
    count, at = decode_varint(data, at)
    headers: list[Header] = []
    for _ in range(count):
        name, at = _bytes_at(data, at)
        value, at = _bytes_at(data, at)
        headers.append(((name or b"").decode("utf-8", "replace"), value))
    return headers, at


def _bytes_at(data: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    return bytes(data[at : at + length]), at + length
