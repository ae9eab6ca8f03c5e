"""The simulator itself: what it may be told to do, that a seed repeats it, how it starts and stops."""

import asyncio

import aiohttp
import pytest

from tests.pipeline.simulator.playing import NUMBER, WITHIN_S, echo, message, send
from tests.support.carrier import Carriers, simulated
from tests.support.waiting import eventually
from watchword.simulator.server import start


async def test_wrong_behaviour_is_refused_and_changes_nothing(carriers: Carriers) -> None:
    await carriers.behave("north", loss=0.25)
    for wrong in ({"loss": 2}, {"lost": 0.1}, {"loss": 0.5, "down": "yes"}):
        with pytest.raises(ValueError, match="400"):
            await carriers.behave("north", **wrong)
    with pytest.raises(ValueError, match="404"):
        await carriers.behave("nowhere", loss=0.1)
    async with aiohttp.ClientSession() as session, session.get(f"{carriers.url}/carriers/north/behaviour") as answer:
        assert (await answer.json())["loss"] == 0.25


async def test_same_seed_and_calls_come_to_the_same(session: aiohttp.ClientSession) -> None:
    runs = []
    for seed in (5, 5, 6):
        async with simulated(seed=seed) as carriers:
            await carriers.behave("north", errors={"throttled": 0.3, "destination": 0.2}, loss=0.3)
            outcomes = [await send(session, echo(carriers), message(f"r-{no}")) for no in range(30)]
            runs.append((outcomes, await carriers.ledger()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_simulator_stops_while_calls_hang(session: aiohttp.ClientSession) -> None:
    simulator = await start(carriers=("north",))
    carriers = Carriers(simulator.url, session)
    await carriers.behave("north", timeouts_after=1)
    hanging = asyncio.create_task(send(session, echo(carriers), message()))

    async def taken() -> bool:
        return len(await carriers.inbox(NUMBER)) == 1

    await eventually(taken, within_s=WITHIN_S, what="the message to be taken")
    async with asyncio.timeout(WITHIN_S):
        await simulator.stop()
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await hanging


async def test_simulator_says_what_is_wrong_when_it_cannot_start(carriers: Carriers) -> None:
    with pytest.raises(OSError, match="in use"):
        await start(int(carriers.url.rsplit(":", 1)[1]))
    for names in ((), ("a", "a"), ("a/b",)):
        with pytest.raises(ValueError, match="carriers"):
            await start(carriers=names)
    with pytest.raises(ValueError, match="receipt urls"):
        await start(receipt_url="receipts.example")
