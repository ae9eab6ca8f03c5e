"""What the judge's consumer commits after a restart: Faust's own arithmetic, without the holes it falls into."""

import asyncio
from typing import Any

import faust
import pytest
import pytest_asyncio
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from watchword.fraud.stream import SureFooted

SIGNALS = TP("otp.signals.v1", 3)


@pytest_asyncio.fixture
async def consumer() -> Any:
    """As the judge has it, of a broker that nobody asks."""
    loop = asyncio.get_running_loop()
    app = faust.App("judge", broker="kafka://127.0.0.1:1", store="memory://", web_enabled=False, loop=loop)
    app.transport.Consumer = SureFooted
    nothing = dict.fromkeys(("on_partitions_revoked", "on_partitions_assigned"), lambda *_: None)
    return app.transport.create_consumer(lambda _: None, **nothing)


async def test_records_that_came_twice_do_not_hold_up_the_others(consumer: Any) -> None:
    consumer._committed_offset[SIGNALS] = 120
    consumer._acked[SIGNALS] = [120, 121, 122, 121, 122, 123, 123, 124]
    assert consumer._new_offset(SIGNALS) == 125
    assert consumer._acked[SIGNALS] == []


async def test_what_was_committed_while_the_broker_was_asked_is_not_forgotten(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def older(_: Consumer) -> dict[TP, int]:
        return {SIGNALS: 340}

    monkeypatch.setattr(Consumer, "seek_to_committed", older)
    monkeypatch.setattr(Consumer, "assignment", lambda _: {SIGNALS})
    consumer._committed_offset[SIGNALS] = 346
    await consumer.perform_seek()
    consumer._acked[SIGNALS] = [346, 347, 348]
    assert consumer._new_offset(SIGNALS) == 349


async def test_a_partition_of_which_nothing_was_committed_is_read_from_its_beginning(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought = []

    async def nothing(_: Consumer) -> dict[TP, int | None]:
        return {SIGNALS: None}

    async def seek(_: Consumer, partition: TP, offset: int) -> None:
        sought.append((partition, offset))

    monkeypatch.setattr(Consumer, "seek_to_committed", nothing)
    monkeypatch.setattr(Consumer, "assignment", lambda _: {SIGNALS})
    monkeypatch.setattr(Consumer, "_seek", seek)
    await consumer.perform_seek()
    assert sought == [(SIGNALS, 0)]
