"""Jasmin with RabbitMQ and Redis, as fast as its settings let it be."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.bench.peers.smsc import Smsc
from tests.bench.peers.system import SENDER, TEXT, NotAccepted, System
from tests.interop import jasmin
from tests.interop.peers import FIX
from tests.support.receiver import Called

ENDS = "2"  # dlr-level: what becomes of a message, without its acceptance


class Jasmin(System):
    """Jasmin's three daemons, connectors without a limit on their pace, receipts by `dlr-url`."""

    name = "jasmin"
    servers = ("rabbitmq", "redis", "epmd")

    def __init__(self, directory: Path, told_url: str) -> None:
        super().__init__(directory, told_url)
        self._smsc: Smsc | None = None
        self._made: jasmin.Jasmin | None = None

    @classmethod
    def missing(cls) -> str:
        """A package of its own Python, and two of Debian."""
        return "" if jasmin.is_installed() else f"Jasmin, RabbitMQ or Redis is not installed; {FIX} --all"

    @property
    def durability(self) -> str:
        """Jasmin declares its queues without `durable` and its messages without a delivery mode."""
        return "RabbitMQ: queues and messages of Jasmin are transient; Redis: append-only file, fsync each second"

    @property
    def parts(self) -> Mapping[str, int]:
        """Daemons and servers."""
        return self._it.pids

    @property
    def _it(self) -> jasmin.Jasmin:
        assert self._made is not None, "it has not been started"
        return self._made

    async def start(self) -> None:
        """The carrier, then all of Jasmin."""
        self._smsc = Smsc(self.directory)
        self.simulator_url = self._smsc.url
        self._made = jasmin.Jasmin(self.directory, self._smsc.port, connectors=jasmin.CONNECTORS_AT_BEST)
        await self._made.start()

    async def submit(self, session: aiohttp.ClientSession, number: str) -> str:
        """One call of /send; an answer that begins with Success is a message taken."""
        told = {"dlr": "yes", "dlr-level": ENDS, "dlr-method": "POST", "dlr-url": f"{self.told_url}?number={number}"}
        user = {"username": jasmin.USER, "password": jasmin.PASSWORD}
        query = {**user, "from": SENDER, "to": number, "content": TEXT, **told}
        async with session.get(f"{self._it.http_url}/send", params=query) as answer:
            text = await answer.text()
            if not text.startswith("Success"):
                raise NotAccepted(f"{answer.status} {text}")
        return number

    def receipt_of(self, called: Called) -> str:
        """The number stands in the address."""
        return parse_qs(urlsplit(called.path).query).get("number", [""])[0]

    async def kill(self, names: Sequence[str]) -> None:
        """These parts at once."""
        await self._it.kill(names)

    async def restart(self) -> None:
        """What ended; its routes are typed in again."""
        await self._it.start()

    async def stop(self) -> None:
        """Jasmin, then the carrier."""
        if self._made is not None:
            await self._made.stop()
        if self._smsc is not None:
            self._smsc.stop()
