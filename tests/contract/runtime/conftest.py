"""The door that the tests of this folder knock at."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.contract.runtime.door_case import KEY, FixedConfiguration, Handlers
from watchword.runtime.clock import WallClock
from watchword.runtime.http import Door
from watchword.runtime.metrics import Metrics


@pytest_asyncio.fixture
async def handlers() -> Handlers:
    return Handlers()


@pytest_asyncio.fixture
async def metrics() -> Metrics:
    return Metrics()


@pytest_asyncio.fixture
async def door(handlers: Handlers, metrics: Metrics) -> AsyncIterator[Door]:
    made = Door(host="127.0.0.1", port=0, metrics=metrics)
    made.mount(*handlers.routes(), configuration=FixedConfiguration(), clock=WallClock())
    await made.start()
    yield made
    handlers.released.set()
    await made.stop()


@pytest_asyncio.fixture
async def session(door: Door) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(door.url, headers={"Authorization": f"Bearer {KEY}"}) as made:
        yield made
