"""Damage to what a broker has on its disk, as a bad block does it: Apache Kafka hands a batch out as it lies there, and
only whoever reads it finds that its sum is wrong.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HEAD = struct.Struct(">qi")  # of a batch: its first offset, and the length of what follows (Kafka's protocol)
_FIRST_SEGMENT = "00000000000000000000.log"


@contextmanager
def damaged(data: Path, record: Any) -> Iterator[None]:
    """The batch that ends with `record` is damaged for as long as the context lasts. `data` is the broker's."""
    segment = data / f"{record.topic}-{record.partition}" / _FIRST_SEGMENT
    at = _last_byte(segment.read_bytes(), record.offset)
    _flip(segment, at)
    try:
        yield
    finally:
        _flip(segment, at)


def _last_byte(segment: bytes, offset: int) -> int:
    """Where the last byte lies of the batch that holds `offset`."""
    at = 0
    while at < len(segment):
        first, length = _HEAD.unpack_from(segment, at)
        if first > offset:
            break
        at += _HEAD.size + int(length)
    return at - 1


def _flip(path: Path, at: int) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        (byte,) = os.pread(file, 1, at)
        os.pwrite(file, bytes([byte ^ 0xFF]), at)
    finally:
        os.close(file)
