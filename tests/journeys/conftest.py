"""One stack for every story: all processes, two carriers, a tenant with a policy for each case.

A story uses numbers of its own and leaves the carriers as it found them.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import stack as stacks
from tests.support.carrier import Carriers
from tests.support.platform import Platform, platform_of
from watchword.local.kafka import Kind
from watchword.local.stack import CARRIERS, Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "stories.toml"


@pytest_asyncio.fixture(scope="session")
async def stack(request: pytest.FixtureRequest, servers_directory: Path) -> AsyncIterator[Stack]:
    """Everything, running for all stories. Nothing of it may be killed."""
    kind: Kind = request.config.getoption("--kafka")
    async with stacks.running(Plan(servers_directory / "stories", kafka=kind, configuration=CONFIGURATION)) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def platform(stack: Stack) -> AsyncIterator[Platform]:
    """The tenant `demo`."""
    async with platform_of(stack) as made:
        yield made


@pytest_asyncio.fixture
async def carriers(platform: Platform) -> AsyncIterator[Carriers]:
    """The carriers, to be played with: afterwards they behave as at birth."""
    yield platform.carriers
    for name in CARRIERS:
        await platform.carriers.behave_as_at_birth(name)
