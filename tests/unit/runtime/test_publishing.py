"""How what is published is packed."""

from typing import Any

from aiokafka.codec import lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

import watchword.runtime.publishing  # noqa: F401 - for what it sets

LZ4, PLAIN = 3, 0
HEADER_BYTES = 61
ROOM_BYTES = 1 << 18


def packed(codec: int) -> bytes:
    """The records of a batch, as the client packs them."""
    batch: Any = DefaultRecordBatchBuilder(2, codec, False, -1, -1, 0, ROOM_BYTES)
    for number in range(20):
        batch.append(number, 1_700_000_000_000, b"key", b'{"purpose":"login","country":"IN"}' * number, [("h", b"1")])
    return bytes(batch.build())[HEADER_BYTES:]


def test_batches_are_compressed_with_the_level_that_is_quick() -> None:
    assert packed(LZ4) == lz4_encode(packed(PLAIN), level=1) != lz4_encode(packed(PLAIN), level=9)
