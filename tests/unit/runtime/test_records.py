"""What a consumer makes of header names that are no UTF-8, in batches as a broker hands them out."""

import struct
from collections.abc import Sequence

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.support.header_names import STAND_IN, with_names_of_any_bytes
from watchword.runtime.records import Records


def batch(names: Sequence[str], *, first: int = 0, codec: int = 0) -> bytes:
    """One record a name, with offsets from `first`."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for index, name in enumerate(names):
        headers = [("ce_id", b"%d" % index), (name, b"x"), ("n", None)]
        builder.append(index, 1_000 + index, b"k%d" % index, b"v", headers)
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, first)
    return with_names_of_any_bytes(bytes(raw))


def read(data: bytes) -> list[tuple[int, int, bytes, list[tuple[str, bytes | None]]]]:
    records, found = Records(data), []
    while records.has_next():
        taken = records.next_batch()
        assert taken.validate_crc()
        found += [(each.offset, each.timestamp, each.key, list(each.headers)) for each in taken]
    return found


def test_a_name_that_is_no_text_is_read_with_marks_in_its_place_and_all_others_as_ever() -> None:
    found = read(batch(["a", "b"]) + batch(["c", STAND_IN, "d"], first=2) + batch(["e"], first=5))
    assert [offset for offset, *_ in found] == [0, 1, 2, 3, 4, 5]
    assert [headers[1][0] for *_, headers in found] == ["a", "b", "c", "\ufffd\ufffdQQ", "d", "e"]
    assert found[3] == (3, 1_001, b"k1", [("ce_id", b"1"), ("\ufffd\ufffdQQ", b"x"), ("n", None)])


def test_the_first_record_may_be_the_one() -> None:
    assert [offset for offset, *_ in read(batch([STAND_IN, "a"], first=7))] == [7, 8]


def test_a_batch_that_ends_in_the_middle_is_left_for_the_next_fetch() -> None:
    assert len(read(batch([STAND_IN]) + batch(["a"], first=1)[:-5])) == 1


@pytest.mark.parametrize("codec", [0, 3], ids=["plain", "lz4"])
def test_names_that_are_text_are_read_by_the_client_itself(codec: int) -> None:
    assert [headers[1] for *_, headers in read(batch(["a", "wörd"], codec=codec))] == [("a", b"x"), ("wörd", b"x")]
