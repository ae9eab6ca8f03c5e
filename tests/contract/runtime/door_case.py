"""A door with handlers that do as they are told, and what every problem must be."""

import asyncio
from typing import Annotated, Any

import aiohttp
import msgspec
from msgspec import Meta

from watchword.kernel.tenancy import Tenant
from watchword.runtime import api_keys
from watchword.runtime.api_keys import ApiKey
from watchword.runtime.configuration import Configuration
from watchword.runtime.http import Answer, Call, Door, Route

KEY = api_keys.new_key(test=True)
MARK = "4930215555"


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    to: Annotated[str, Meta(max_length=32)]
    binding: dict[str, str] = {}


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """A query."""

    status: str = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class Told(msgspec.Struct):
    """What the handlers below answer with."""

    id: str = ""
    tenant: str = ""
    to: str = ""
    key: str = ""
    ip: str = ""
    limit: int = 0


class FixedConfiguration:
    """One tenant and one key, always."""

    def current(self) -> Configuration:
        key = ApiKey(id="ak_1", tenant="shop", name="web", scopes=frozenset({"start"}), test=True)
        return Configuration(
            tenants={"shop": Tenant(id="shop", countries=["IN"])}, api_keys={api_keys.hash_of(KEY): key}
        )


class Handlers:
    """Handlers that do as they are told, and what they saw."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()
        self.raising: Exception = KeyError(MARK)
        self.calls = 0

    async def start(self, call: Call[Start]) -> Answer:
        self.calls += 1
        return Answer(202, Told(tenant=call.tenant, to=call.body.to, key=call.idempotency_key, ip=call.client_ip))

    async def get(self, call: Call[None]) -> Answer:
        return Answer(200, Told(id=call.params["id"], limit=call.query.limit))

    async def fail(self, call: Call[None]) -> Answer:
        raise self.raising

    async def wait(self, call: Call[None]) -> Answer:
        self.entered.set()
        await asyncio.wait_for(self.released.wait(), 10)
        return Answer(200, Told(id="finished"))

    async def raw(self, call: Call[bytes]) -> Answer:
        return Answer(200, call.body)

    def routes(self) -> list[Route[Any]]:
        told: dict[int, Any] = {200: Told}
        return [
            Route(method="POST", path="/v1/verifications", name="start", request=Start, responses={202: Told},
                  handler=self.start, scope="start", idempotent=True, problems=("number_invalid", "rate_limited")),
            Route(method="GET", path="/v1/verifications/{id}", name="get", request=None, responses=told,
                  handler=self.get, query=Filter),
            Route(method="DELETE", path="/v1/verifications/{id}", name="drop", request=None, responses=told,
                  handler=self.wait, scope="cancel"),
            Route(method="GET", path="/fail", name="fail", request=None, responses=told, handler=self.fail),
            Route(method="GET", path="/wait", name="wait", request=None, responses=told, handler=self.wait),
            Route(method="POST", path="/receipts/{account}", name="raw", request=bytes, responses={200: None},
                  handler=self.raw),
        ]  # fmt: skip


async def problem(answer: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The problem that was answered, after a look at everything that every problem must be."""
    text = await answer.text()
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), text
    told: dict[str, Any] = msgspec.json.decode(text)
    assert (told["code"], told["status"], told["type"]) == (code, status, f"/problems/{code}")
    assert told["title"] and told["detail"]
    assert MARK not in text and KEY not in text
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and "Server" not in answer.headers
    return told


async def talk(door: Door, sent: bytes) -> bytes:
    """What the door answers to bytes, until it closes."""
    host, port = door.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 5)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
