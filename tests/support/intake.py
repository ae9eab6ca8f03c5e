"""Intake behind its real HTTP door: what its pipeline tests call it through."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support.pipeline import Pipeline
from watchword.local.ports import free_ports
from watchword.runtime.process import Process

CONFIGURATION = Path(__file__).with_name("intake.toml")
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: status, headers, and the body as it came."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in the body."""
        told: dict[str, Any] = orjson.loads(self.raw)
        return told


@dataclass
class Caller:
    """A platform calling the public door. `keys` are API keys by "tenant/name"."""

    stand: Pipeline
    process: Process
    url: str
    keys: Mapping[str, str] = field(repr=False)
    session: aiohttp.ClientSession

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str = "shop/all",
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """One request; a body that is bytes goes as it is, anything else as JSON."""
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        given = {"Content-Type": "application/json"} if data is not None else {}
        given |= {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key else {}
        async with self.session.request(
            method, self.url + path, data=data, headers={**given, **(headers or {})}
        ) as answer:
            return Answered(answer.status, dict(answer.headers), await answer.read())

    async def start(self, to: str = "+919876543210", *, repeat: str = "", **said: Any) -> Answered:
        """POST /v1/verifications."""
        key = said.pop("key", "shop/all")
        headers = {"Idempotency-Key": repeat} if repeat else {}
        return await self.call("POST", "/v1/verifications", {"to": to, **said}, key=key, headers=headers)

    async def count(self, table: str) -> int:
        """How many rows a table holds."""
        return int(await self.stand.connection.fetchval(f"SELECT count(*) FROM {table}"))


@asynccontextmanager
async def intake(stand: Pipeline, names: str = "intake", **settings: Any) -> AsyncIterator[Caller]:
    """Intake running in this process with `intake.toml` applied, and somebody to call it."""
    applied = await stand.configure(CONFIGURATION)
    keys = {f"{key.tenant}/{key.name}": key.key for key in applied.new_keys}
    [port] = free_ports(1)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        stand.running(names, http_port=port, **settings) as process,
        aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Caller(stand, process, f"http://127.0.0.1:{port}", keys, session)
