"""The target of every attack: the stack of the stories, with tenants, keys and carriers of the attacks' own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest_asyncio

from tests.attacks.adapter import ANSWERED_WITHIN_S, Target, Traces
from tests.support.carrier import Carriers
from tests.support.receiver import Receiver, receiver
from tests.support.stack import configured
from watchword.gateways.catalog import ALL
from watchword.local.stack import Stack
from watchword.runtime.apply import apply
from watchword.runtime.keyring import Keyring, Purpose

CONFIGURATION = Path(__file__).with_name("attacks.toml")
NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Aims:
    """The doors as each of the attacks' keys opens them."""

    prey: Target
    reader: Target
    expired: Target
    rival: Target
    narrow: Target
    warded: Target


@pytest_asyncio.fixture(scope="session")
async def hooks() -> AsyncIterator[Receiver]:
    """Where the tenant `prey` is called back, and everything that it was called with."""
    async with receiver() as made:
        yield made


@pytest_asyncio.fixture(scope="session")
async def aims(stack: Stack, hooks: Receiver) -> AsyncIterator[Aims]:
    """Every tenant of `attacks.toml`, known to every worker."""
    keys = await _applied(stack, hooks)
    timeout = aiohttp.ClientTimeout(total=ANSWERED_WITHIN_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=128)) as session:
        phones = Carriers(stack.simulator_url, session)
        prey = Target(stack.api_url, stack.receipts_url, keys["prey/whole"], session, phones, Traces())
        made = Aims(
            prey=prey,
            reader=prey.with_key(keys["prey/reader"]),
            expired=prey.with_key(keys["prey/expired"]),
            rival=prey.with_key(keys["rival/whole"]),
            narrow=prey.with_key(keys["narrow/whole"]),
            warded=prey.with_key(keys["warded/whole"]),
        )
        await configured(stack)
        yield made


async def _applied(stack: Stack, hooks: Receiver) -> dict[str, str]:
    """Apply `attacks.toml`; answers its keys by tenant and name."""
    file = stack.plan.directory / "attacks.toml"
    text = CONFIGURATION.read_text("utf-8").replace("${simulator}", stack.simulator_url).replace("${hooks}", hooks.url)
    file.write_text(text, "utf-8")
    keyring = Keyring.load(stack.plan.directory / "keyring.json", {Purpose.ACCOUNT, Purpose.ENDPOINT})
    applied = await apply(stack.dsn, file, keyring=keyring, gateways=frozenset(ALL))
    return {f"{made.tenant}/{made.name}": made.key for made in applied.new_keys}


@pytest_asyncio.fixture
async def target(aims: Aims) -> Target:
    """The tenant `prey`."""
    return aims.prey


@pytest_asyncio.fixture
async def silent_carrier(aims: Aims) -> AsyncIterator[None]:
    """Carrier `alpha` sends no receipts of its own, so that every receipt is the attacker's."""
    await aims.prey.phones.behave("alpha", receipts=False)
    yield
    await aims.prey.phones.behave_as_at_birth("alpha")
