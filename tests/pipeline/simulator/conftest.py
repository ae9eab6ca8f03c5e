"""A simulator of each test's own, over real HTTP, and a receiver of its receipts."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.pipeline.simulator.playing import WITHIN_S, Receiver, receiving
from tests.support.carrier import Carriers, simulated


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Where every carrier's receipts go."""
    async with receiving() as taking:
        yield taking


@pytest_asyncio.fixture
async def carriers(receiver: Receiver) -> AsyncIterator[Carriers]:
    """A simulator of this test's own."""
    async with simulated(seed=11, receipt_url=receiver.url, blind_receipt_url=receiver.url) as playing:
        yield playing


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that waits long enough for a busy machine."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2 * WITHIN_S)) as client:
        yield client
