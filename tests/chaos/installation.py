"""Everything on this machine, and a proxy each between the workers and what they need: Kafka, Postgres, carriers, over
HTTP and over SMPP; and one before each of the doors, for platforms and for carriers that report."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from tests.support import stack as stacks
from tests.support.batches import batches
from tests.support.carrier import Carriers, carriers_at
from tests.support.proxy import Proxy
from tests.support.receiver import Receiver, receiver
from watchword.local import kafka, postgres
from watchword.local.kafka import Broker, Kind
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.postgres import Database
from watchword.local.process import LocalServerError
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).with_name("chaos.toml")
BOUND = "zeta"
"""The carrier that keeps a connection."""
CARRIERS = ("alpha", "beta", "gamma", "delta", "epsilon", BOUND)
DOORS = ("api", "receipts", "smpp")
"""What others keep connections to, or we to them for good. The other proxies stand before what workers call."""
PROXIES = ("kafka", "postgres", "carrier", "asked", *DOORS)
RESTARTS_MAX = 10_000
STARTS_MAX = 4
CALL_TIMEOUT_S = 10.0
# Everything at once is more than the machine can do at times. A broker that its own controller does not hear for that
# long loses its partitions and every group its coordinator, and what is measured then is the broker.
BROKER_SESSION_MS = 10_000

# How each carrier behaves while nothing is wrong with it. gamma tells nothing by itself: it is there to be asked.
USUAL: Mapping[str, Any] = {
    "latency_ms": {"kind": "uniform", "min": 5, "max": 30},
    "errors": {},
    "timeouts_before": 0.0,
    "timeouts_after": 0.0,
    "hang_ms": 6_000,
    "down": False,
    "outage_answer": "unavailable",
    "receipt_delay_ms": {"kind": "uniform", "min": 50, "max": 500},
    "receipt_duplicates": 0.0,
    "receipt_reordered": 0.0,
    "receipt_early": 0.0,
    "receipt_late": 0.0,
    "receipt_late_ms": {"kind": "uniform", "min": 3_000, "max": 8_000},
    "receipt_steps": ["enroute"],
}


@dataclass
class Installation:
    """What runs. `dsn` is the database itself, not through the proxy; `session` for whoever calls it over HTTP."""

    stack: Stack
    broker: Broker
    database: Database
    proxies: Mapping[str, Proxy]
    carriers: Carriers
    endpoint: Receiver
    session: aiohttp.ClientSession

    @property
    def api_url(self) -> str:
        """Where platforms call, by way of what spoils connections."""
        return f"http://{LOOPBACK}:{self.proxies['api'].port}"

    @property
    def receipts_url(self) -> str:
        """Where carriers call, in the same way."""
        return f"http://{LOOPBACK}:{self.proxies['receipts'].port}"

    @property
    def dsn(self) -> str:
        """The database as its owner reaches it."""
        return self.database.dsn

    async def back(self, server: Broker | Database) -> None:
        """Have a server run again, insisting on a machine that is too busy to start it in time. Raises
        LocalServerError."""
        for left in reversed(range(STARTS_MAX)):
            try:
                await asyncio.to_thread(server.restart)
                return
            except LocalServerError:
                if not left:
                    raise

    async def behave(self, carrier: str, **changes: Any) -> None:
        """Give a carrier its usual behaviour but for these fields."""
        await self.carriers.behave(carrier, **{**USUAL, **changes})


@asynccontextmanager
async def installed(
    directory: Path, *, more: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Installation]:
    """Everything started and in order; stopped again in any case. `more` is added to the configuration, `environment`
    to that of every worker. Raises LocalServerError."""
    async with AsyncExitStack() as held:
        ports = dict(zip(PROXIES, free_ports(len(PROXIES)), strict=True))
        broker = await asyncio.to_thread(
            kafka.start,
            directory / "kafka",
            prefer=Kind.APACHE,
            advertised_port=ports["kafka"],
            session_ms=BROKER_SESSION_MS,
        )
        held.push_async_callback(asyncio.to_thread, broker.stop)
        database = await asyncio.to_thread(postgres.start, directory / "postgres")
        held.push_async_callback(asyncio.to_thread, database.stop)
        proxies = {name: Proxy(port) for name, port in ports.items()}
        for proxy in proxies.values():
            await proxy.start()
            held.push_async_callback(proxy.stop)
        proxies["kafka"].target = _place(f"//{broker.bootstrap}")
        proxies["postgres"].target = _place(database.dsn)
        asked = await held.enter_async_context(batches())
        proxies["asked"].target = (LOOPBACK, asked.port)
        endpoint = await held.enter_async_context(receiver())
        plan = Plan(
            directory=directory,
            configuration=_configuration(directory, ports, endpoint.url, more),
            kafka_address=f"{LOOPBACK}:{ports['kafka']}",
            postgres_address=_through(database.dsn, ports["postgres"]),
            carriers=CARRIERS,
            environment={
                "WATCHWORD_PUBLIC_RECEIPTS_URL": f"http://{LOOPBACK}:{ports['receipts']}",
                **(environment or {}),
            },
            restarts_max=RESTARTS_MAX,
        )
        stack = await held.enter_async_context(stacks.running(plan))
        proxies["carrier"].target = _place(stack.simulator_url)
        proxies["smpp"].target = _place(stack.smpp_url)
        proxies["api"].target = _place(stack.api_url)
        proxies["receipts"].target = _place(stack.receipts_url)
        asked.carrier = f"{stack.simulator_url}/carriers/gamma"
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        session = await held.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        carriers = await held.enter_async_context(carriers_at(stack.simulator_url))
        made = Installation(stack, broker, database, proxies, carriers, endpoint, session)
        await _introduce(made)
        yield made


async def _introduce(made: Installation) -> None:
    """Each carrier as it is for good: what it dedupes, and where it reports to."""
    door = made.receipts_url
    for name in ("alpha", "beta"):
        await made.carriers.behave(name, receipt_url=f"{door}/receipts/{name}")
    await made.carriers.behave("gamma", dedupes=False, receipts=False)
    await made.carriers.behave("delta", blind_receipt_url=f"{door}/receipts/form")
    await made.carriers.behave("epsilon", blind_receipt_url=f"{door}/receipts/form-once")
    for name in CARRIERS:
        await made.behave(name)


def _configuration(directory: Path, ports: Mapping[str, int], endpoint: str, more: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "chaos.toml"
    text = Template(CONFIGURATION.read_text("utf-8")).safe_substitute(
        carrier=f"http://{LOOPBACK}:{ports['carrier']}",
        asked=f"http://{LOOPBACK}:{ports['asked']}",
        smpp=f"smpp://{LOOPBACK}:{ports['smpp']}",
        endpoint=endpoint,
    )
    file.write_text(text + more, "utf-8")
    return file


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


def _through(dsn: str, port: int) -> str:
    """The same database, by way of a proxy."""
    parts = urlsplit(dsn)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{LOOPBACK}:{port}"))
