"""The reader on a log whose partitions are dealt anew while it rests between two reads."""

import asyncio

from tests.simulation.log import Broker
from tests.simulation.loop import virtual_loop
from tests.simulation.world import World
from watchword.runtime.kafka import Cluster, Reader
from watchword.runtime.pace import Pace

TOPIC = "otp.requests.v1"


def test_what_comes_after_a_rest_in_another_assignment_is_not_lost() -> None:
    loop = virtual_loop(World.drawn(1, "turns"))
    broker = Broker(World.drawn(1, "broker"), partitions=1, now_ms=lambda: int(loop.time() * 1_000))
    place = broker.partition_of(TOPIC, b"k")

    async def story() -> list[int]:
        reader = Reader(
            Cluster("simulated"), [TOPIC], group="g", member="m", on_revoked=nothing, consumer=broker.consumer
        )
        await reader.start()
        await asyncio.wait({asyncio.ensure_future(assigned(reader))})
        broker.append(place, b"k", b"first", ())
        pace = Pace(10.0)
        pace.begin()  # the next turn has to wait, and meanwhile the partition goes and comes back
        broker.rebalance(broker.groups["g"])
        read = await reader.poll(records_max=10, wait_ms=200, pace=pace)
        read += await reader.poll(records_max=10, wait_ms=200, pace=Pace(0.0))
        return [record.offset for record in read]

    assert loop.finish(loop.spawn(loop.world, story()), within_s=60.0) == [0]


async def nothing() -> None:
    """Nothing is in hand."""


async def assigned(reader: Reader) -> None:
    """Until the partition is there."""
    while not reader.assigned():
        await reader.poll(records_max=1, wait_ms=200, pace=Pace(0.0))
