"""What the judge's consumer commits after a restart: Faust's own arithmetic, without the holes it falls into."""

from collections import defaultdict
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from watchword.fraud.stream import SureFooted

SIGNALS = TP("otp.signals.v1", 3)


class Unstarted(SureFooted):
    """The judge's consumer with its books alone: no thread, no broker."""

    def __init__(self) -> None:
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._acked_index: dict[TP, set[int]] = defaultdict(set)
        self._gap: dict[TP, Any] = defaultdict(set)
        self._committed_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._read_offset: dict[TP, int | None] = defaultdict(lambda: None)

    def assignment(self) -> set[TP]:
        return {SIGNALS}

    def _is_changelog_tp(self, tp: TP) -> bool:
        return False


def test_records_that_came_twice_do_not_hold_up_the_others() -> None:
    consumer = Unstarted()
    consumer._committed_offset[SIGNALS] = 120
    consumer._acked[SIGNALS] = [120, 121, 122, 121, 122, 123, 123, 124]
    assert consumer._new_offset(SIGNALS) == 125
    assert consumer._acked[SIGNALS] == []


async def test_what_was_committed_while_the_broker_was_asked_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def older(_: Consumer) -> dict[TP, int]:
        return {SIGNALS: 340}

    monkeypatch.setattr(Consumer, "seek_to_committed", older)
    consumer = Unstarted()
    consumer._committed_offset[SIGNALS] = 346
    await consumer.perform_seek()
    consumer._acked[SIGNALS] = [346, 347, 348]
    assert consumer._new_offset(SIGNALS) == 349


async def test_a_partition_of_which_nothing_was_committed_is_read_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sought = []

    async def nothing(_: Consumer) -> dict[TP, int | None]:
        return {SIGNALS: None}

    async def seek(_: Consumer, partition: TP, offset: int) -> None:
        sought.append((partition, offset))

    monkeypatch.setattr(Consumer, "seek_to_committed", nothing)
    monkeypatch.setattr(Consumer, "seek", seek)
    await Unstarted().perform_seek()
    assert sought == [(SIGNALS, 0)]
