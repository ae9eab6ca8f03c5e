"""Watchword itself, with all that it does for a message and they do not: limits, fraud, a code of its own, a record."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import ClassVar

import aiohttp
import orjson

from tests.bench import processes
from tests.bench.peers.system import CARRIER, NotAccepted, System
from tests.support.receiver import Called
from watchword.local.auditing import audited, in_words
from watchword.local.process import is_running
from watchword.local.stack import Plan, Stack

CONFIGURATION = Path(__file__).with_name("watchword.toml")
SLACK = timedelta(seconds=5)  # between the clock of this process and that of Postgres
ENDPOINT_INFLIGHT = 64
END_STATE = "delivered"


class Watchword(System):
    """The whole stack, to a carrier over SMPP; receipts by signed webhook."""

    name = "watchword"
    servers = ("postgres", "kafka")
    account: ClassVar[str] = "smpp"

    def __init__(self, directory: Path, told_url: str) -> None:
        super().__init__(directory, told_url)
        file = directory / "peers.toml"
        text = Template(CONFIGURATION.read_text("utf-8")).safe_substitute(told=told_url, account=self.account)
        file.write_text(text, "utf-8")
        plan = Plan(
            directory=directory,
            forked=False,
            configuration=file,
            carriers=(CARRIER,),
            environment={"WATCHWORD_CALLBACKS_ENDPOINT_INFLIGHT_MAX": str(ENDPOINT_INFLIGHT)},
        )
        self._stack = Stack(plan)
        self._began = datetime.now(UTC) - SLACK

    @classmethod
    def missing(cls) -> str:
        """It is this repository."""
        return ""

    @property
    def durability(self) -> str:
        """Postgres commits before an answer; Kafka carries what Postgres still holds until it is acknowledged."""
        return f"Postgres: fsync on, committed before the answer; {self._stack.broker.label}: acks=all, outbox"

    @property
    def parts(self) -> Mapping[str, int]:
        """Workers and servers."""
        return {name: pid for name, pid in processes.groups(self._stack).items() if name != "simulator"}

    async def start(self) -> None:
        """As `watchword up` does."""
        await asyncio.to_thread(self._stack.start)
        self.simulator_url = self._stack.simulator_url

    async def submit(self, session: aiohttp.ClientSession, number: str) -> str:
        """One start of a verification, under a key by which a repeat is known."""
        headers = {
            "Authorization": f"Bearer {self._stack.api_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f'"{number}"',
        }
        body = orjson.dumps({"to": f"+{number}", "policy": "load", "purpose": "login"})
        async with session.post(f"{self._stack.api_url}/v1/verifications", data=body, headers=headers) as answer:
            told = await answer.read()
            if answer.status != 202:
                raise NotAccepted(f"{answer.status} {told.decode()}")
        return str(orjson.loads(told)["id"])

    def receipt_of(self, called: Called) -> str:
        """The verification whose message was delivered."""
        told = orjson.loads(called.body)["data"]
        return str(told["verification_id"]) if told["state"] == END_STATE else ""

    async def kill(self, names: Sequence[str]) -> None:
        """These parts at once."""
        await asyncio.gather(*(asyncio.to_thread(self._killing(name)) for name in names))

    async def restart(self) -> None:
        """Servers first; then every worker that ended."""
        if not await asyncio.to_thread(self._serves):
            servers = (self._stack.database, self._stack.broker)
            await asyncio.gather(*(asyncio.to_thread(server.restart) for server in servers))
        ended = [name for name, child in self._stack.children.items() if child.process.exit_code is not None]
        for name in ended:
            await asyncio.to_thread(self._stack.restart, name)
        await asyncio.gather(*(asyncio.to_thread(self._stack.await_ready, name) for name in ended))

    async def stop(self) -> None:
        """Workers, then the carrier and the servers."""
        await asyncio.to_thread(self._stack.stop)

    async def proof(self) -> str:
        """The audit."""
        return f"audit: {in_words(await audited(self._stack, since=self._began))}"

    def _killing(self, name: str) -> Callable[[], None]:
        match name:
            case "postgres":
                return self._stack.database.kill
            case "kafka":
                return self._stack.broker.kill
        return self._stack.children[name].process.kill

    def _serves(self) -> bool:
        return all(is_running(pid) for pid in (self._stack.database.pid, self._stack.broker.pid))


class WatchwordHttp(Watchword):
    """The same to a carrier over HTTP that knows a message again by its reference."""

    name = "watchword http"
    account = "north"
