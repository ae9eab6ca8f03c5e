"""One stack for the tests that break it and mend it: they kill its workers and its servers in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support import stack as stacks
from tests.support.platform import Platform, platform_of
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).parents[1] / "support" / "stories.toml"


@pytest_asyncio.fixture(scope="session")
async def stack(servers_directory: Path) -> AsyncIterator[Stack]:
    """Everything, with servers of its own; what a death left behind is swept soon."""
    plan = Plan(
        directory=servers_directory / "faults",
        kafka=Kind.APACHE,
        configuration=CONFIGURATION,
        environment={"WATCHWORD_TIMERS_SWEEP_AFTER_S": "1"},
    )
    async with stacks.lasting(plan, "tests/faults") as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def platform(stack: Stack) -> AsyncIterator[Platform]:
    """The tenant `demo`; the blind accounts are told where their receipts belong."""
    async with platform_of(stack) as made:
        for account, carrier in (("form", "alpha"), ("form-once", "beta")):
            url = f"{stack.receipts_url}/receipts/{account}"
            await made.carriers.behave(carrier, blind_receipt_url=url)
        yield made
