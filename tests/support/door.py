"""Calling a door as a platform or a carrier would: plain HTTP, any bytes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

CALL_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. `json` is None where the body is none."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one address, with an API key where there is one."""

    url: str
    session: aiohttp.ClientSession
    key: str = ""

    async def post(self, path: str, body: Any, **headers: str) -> Answered:
        """POST a JSON body."""
        return await self.send("POST", path, orjson.dumps(body), **({"Content-Type": "application/json"} | headers))

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answered:
        """Send any bytes. Underscores in header names become dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            named.setdefault("Authorization", f"Bearer {self.key}")
        async with self.session.request(method, self.url + path, data=body, headers=named) as answer:
            return Answered(answer.status, await answer.read(), answer.headers)


@asynccontextmanager
async def calling(url: str, key: str = "") -> AsyncIterator[Caller]:
    """A caller of `url`."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Caller(url, session, key)
