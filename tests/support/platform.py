"""A platform and its users: calls the public API, reads the phones, types in what they show.

`Platform.verify` is one user from the number to the answer, whatever breaks in between: every call is repeated under
the same Idempotency-Key until it is answered, as api.md asks of a platform.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

from tests.support.carrier import CALL_TIMEOUT_S, Carriers
from tests.support.waiting import eventually
from watchword.local.stack import Stack

ANSWERED_WITHIN_S = 30.0
JSON = "application/json"

# Every number is one of a range of its own, so that no story looks like a pumped range to another one. None is round:
# the count 407, as a float, reads 97000000000 in half bytes, and whoever searches for the number would find it there.
_NUMBERS = itertools.count(919_700_004_321, 10_007)


def fresh_number() -> str:
    """A phone that nobody used before."""
    return f"+{next(_NUMBERS)}"


@dataclass(frozen=True)
class Told:
    """What one call was answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The stable word of a problem, "" where it is none."""
        return str(self.body.get("code", ""))


@dataclass
class Verified:
    """One user's way: `result` is what the check with the shown code was answered, `faults` how often a call had to
    be repeated and why."""

    number: str
    id: str = ""
    result: str = ""
    faults: list[str] = field(default_factory=list)


class Platform:
    """The tenant of a stack, with one API key."""

    def __init__(self, session: aiohttp.ClientSession, *, api: str, key: str, carriers: Carriers) -> None:
        self._session = session
        self._api = api
        self._key = key
        self.carriers = carriers

    def with_key(self, key: str) -> "Platform":
        """Another tenant of the same stack."""
        return Platform(self._session, api=self._api, key=key, carriers=self.carriers)

    async def call(self, method: str, path: str, body: Any = None, *, idempotency_key: str = "") -> Told:
        """One call, once. Raises what the connection raises."""
        headers = {"Authorization": f"Bearer {self._key}"}
        if idempotency_key:
            headers["Idempotency-Key"] = f'"{idempotency_key}"'
        async with self._session.request(method, self._api + path, json=body, headers=headers) as answer:
            return Told(answer.status, await answer.json(content_type=None), dict(answer.headers))

    async def start(self, number: str, **fields: Any) -> Told:
        """Ask for a verification, once."""
        return await self.call("POST", "/v1/verifications", {"to": number, **fields})

    async def started(self, number: str, **fields: Any) -> str:
        """The id of a verification that was accepted at once."""
        told = await self.start(number, **fields)
        assert told.status == 202, told
        return str(told.body["id"])

    async def check(self, identity: str, code: str, **fields: Any) -> Told:
        """Submit a code, once."""
        return await self.call("POST", f"/v1/verifications/{identity}/check", {"code": code, **fields})

    async def resend(self, identity: str) -> Told:
        """Ask for the code again, once."""
        return await self.call("POST", f"/v1/verifications/{identity}/resend", {})

    async def cancel(self, identity: str) -> Told:
        """End a verification."""
        return await self.call("POST", f"/v1/verifications/{identity}/cancel", {})

    async def read(self, identity: str) -> dict[str, Any]:
        """Where a verification stands."""
        told = await self.call("GET", f"/v1/verifications/{identity}")
        assert told.status == 200, told
        return told.body

    async def until_status(self, identity: str, *wanted: str, within_s: float = 10.0) -> dict[str, Any]:
        """A verification as soon as its status is one of `wanted`."""

        async def there() -> dict[str, Any] | None:
            told = await self.read(identity)
            return told if told["status"] in wanted else None

        found = await eventually(there, within_s=within_s, what=f"{identity} to be {' or '.join(wanted)}")
        assert found is not None
        return found

    async def until_answered(
        self, path: str, body: Any, *, faults: list[str], idempotency_key: str = "", within_s: float = ANSWERED_WITHIN_S
    ) -> Told:
        """The answer to a POST that is repeated while the service is away or sheds."""

        async def answered() -> Told | None:
            try:
                told = await self.call("POST", path, body, idempotency_key=idempotency_key)
            except (aiohttp.ClientError, OSError) as error:
                faults.append(type(error).__name__)
                return None
            if told.status < 500 and told.code != "idempotency_in_progress":
                return told
            faults.append(f"{told.status} {told.code}")
            return None

        found = await eventually(answered, within_s=within_s, what=f"an answer to POST {path}")
        assert found is not None
        return found

    async def verify(self, number: str, *, within_s: float = 60.0, **fields: Any) -> Verified:
        """One user from the number to the answer. A user who never gets there has no `result`."""
        way = Verified(number)
        body = {"to": number, **fields}
        try:
            async with asyncio.timeout(within_s):
                told = await self.until_answered(
                    "/v1/verifications", body, faults=way.faults, idempotency_key=uuid4().hex, within_s=within_s
                )
                way.id = str(told.body.get("id", ""))
                await self.enter_code(way, within_s=within_s)
        except (TimeoutError, AssertionError) as late:
            way.faults.append(str(late) or "not over in time")
        return way

    async def enter_code(self, way: Verified, *, within_s: float = 60.0) -> None:
        """Type in what the phone shows, again until it is answered."""
        code = await self.carriers.wait_for_code(way.number, within_s=within_s)
        path = f"/v1/verifications/{way.id}/check"
        told = await self.until_answered(path, {"code": code}, faults=way.faults, within_s=within_s)
        way.result = str(told.body.get("result") or told.code)


@asynccontextmanager
async def platform_of(stack: Stack) -> AsyncIterator[Platform]:
    """The platform of a stack's tenant, with connections of its own."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=256)) as session:
        carriers = Carriers(stack.simulator_url, session)
        yield Platform(session, api=stack.api_url, key=stack.api_key, carriers=carriers)
