"""Kannel as Debian has it, in memory as it comes, and with its spool on disk."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.bench.peers.smsc import Smsc, listens_at
from tests.bench.peers.system import CARRIER, PASSWORD, READY_WITHIN_S, SENDER, TEXT, NotAccepted, System
from tests.interop.peers import FIX
from tests.support.receiver import Called
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process, Program

CONFIGURATION = Path(__file__).with_name("kannel.conf")
ANY_END = "3"  # dlr-mask: delivered, or not to be delivered
BEARERBOX, SMSBOX = "bearerbox", "smsbox"


class Kannel(System):
    """Bearerbox and smsbox, one bind to the simulator, receipts by `dlr-url`."""

    name = "kannel"

    def __init__(self, directory: Path, told_url: str) -> None:
        super().__init__(directory, told_url)
        self._smsc: Smsc | None = None
        self._running: dict[str, Process] = {}
        self._admin, self._box, self._send = free_ports(3)

    @classmethod
    def missing(cls) -> str:
        """Debian's package."""
        return "" if _program(BEARERBOX) and _program(SMSBOX) else f"Kannel is not installed; {FIX}"

    @property
    def durability(self) -> str:
        """Without a store-type nothing is written."""
        return "nothing on disk: messages and receipts due are in memory (its default)"

    @property
    def parts(self) -> Mapping[str, int]:
        """Its two boxes."""
        return {name: process.pid for name, process in self._running.items()}

    async def start(self) -> None:
        """The carrier, then the boxes."""
        self._smsc = await asyncio.to_thread(Smsc, self.directory)
        self.simulator_url = self._smsc.url
        told = {"admin": self._admin, "box": self._box, "send": self._send, "smsc": self._smsc.port}
        words = {"user": CARRIER, "password": PASSWORD, "directory": self.directory, "store": self._store()}
        text = Template(CONFIGURATION.read_text("utf-8")).substitute(told, **words)
        (self.directory / "kannel.conf").write_text(text, "utf-8")
        await self.restart()

    async def submit(self, session: aiohttp.ClientSession, number: str) -> str:
        """One call of sendsms; 202 is a message taken."""
        told = {"dlr-mask": ANY_END, "dlr-url": f"{self.told_url}?number={number}&state=%d"}
        query = {"username": "tester", "password": "tester", "from": SENDER, "to": number, "text": TEXT, **told}
        async with session.get(f"http://{LOOPBACK}:{self._send}/cgi-bin/sendsms", params=query) as answer:
            if answer.status != 202:
                raise NotAccepted(f"{answer.status} {await answer.text()}")
        return number

    def receipt_of(self, called: Called) -> str:
        """The number stands in the address."""
        return parse_qs(urlsplit(called.path).query).get("number", [""])[0]

    async def kill(self, names: Sequence[str]) -> None:
        """Both at once."""
        await asyncio.gather(*(asyncio.to_thread(self._running[name].kill) for name in names))

    async def restart(self) -> None:
        """Bearerbox first: smsbox connects to it."""
        for name, port in ((BEARERBOX, self._box), (SMSBOX, self._send)):
            if name not in self._running or self._running[name].exit_code is not None:
                await self._run(name, port)

    async def stop(self) -> None:
        """Smsbox, bearerbox, the carrier."""
        for name in (SMSBOX, BEARERBOX):
            if name in self._running:
                await asyncio.to_thread(self._running[name].stop)
        if self._smsc is not None:
            await asyncio.to_thread(self._smsc.stop)

    async def _run(self, name: str, port: int) -> None:
        command = (_program(name), str(self.directory / "kannel.conf"))
        self._running[name] = Process(Program(name, command, self.directory / f"{name}.out", self.directory))
        await asyncio.to_thread(self._running[name].await_ready, lambda: listens_at(port), READY_WITHIN_S)

    def _store(self) -> str:
        return "dlr-storage = internal"


class KannelSpool(Kannel):
    """The same, with messages and receipts due as files."""

    name = "kannel spool"

    @property
    def durability(self) -> str:
        """A file a message; nothing is synced."""
        return "store-type and dlr-storage spool: a file for each message and receipt due, no fsync"

    def _store(self) -> str:
        places = [self.directory / what for what in ("store", "dlr")]
        for place in places:
            place.mkdir()
        store, dlr = places
        return f'store-type = spool\nstore-location = "{store}"\ndlr-storage = spool\ndlr-spool = "{dlr}"'


def _program(name: str) -> str:
    """Debian keeps boxes where not everybody looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin") or ""
