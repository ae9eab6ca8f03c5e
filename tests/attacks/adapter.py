"""What an attacker can reach: five calls of the public API, the carriers' door, and a bare socket. Black box.

Everything that is ever sent and answered through here is remembered, so that it can be searched for afterwards.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from tests.support.carrier import Carriers

JSON = "application/json"
ANSWERED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: status, body and headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    @property
    def word(self) -> str:
        """How it was answered in one word: the result of a check, the status of a verification, or a problem's code."""
        told = self.json if self.body.startswith(b"{") else {}
        words = (told.get(name) for name in ("code", "result", "status"))
        return next((word for word in words if isinstance(word, str)), "")

    @property
    def id(self) -> str:
        """The verification it is about."""
        return str(self.json["id"])


@dataclass
class Traces:
    """What may be found nowhere after the attacks, and every answer, in which it may not be either."""

    numbers: set[str] = field(default_factory=set, repr=False)
    codes: set[str] = field(default_factory=set, repr=False)
    guesses: set[str] = field(default_factory=set, repr=False)
    answers: list[bytes] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Target:
    """The doors of a running system, seen with one API key."""

    api: str
    receipts: str
    key: str = field(repr=False)
    session: aiohttp.ClientSession
    phones: Carriers
    traces: Traces

    def with_key(self, key: str) -> "Target":
        """The same doors with another key."""
        return replace(self, key=key)

    # The five calls -----------------------------------------------------------------------------------------------

    async def start(self, number: str, *, repeat: str = "", **fields: Any) -> Answered:
        """Ask for a verification; `repeat` is an Idempotency-Key."""
        self.traces.numbers.add(number)
        headers = {"Idempotency-Key": repeat} if repeat else {}
        return await self.send("POST", "/v1/verifications", {"to": number, **fields}, headers)

    async def check(self, identity: str, code: str, **fields: Any) -> Answered:
        """Submit a code."""
        self.traces.guesses.add(code)
        return await self.send("POST", f"/v1/verifications/{identity}/check", {"code": code, **fields})

    async def resend(self, identity: str) -> Answered:
        """Ask for the code once more."""
        return await self.send("POST", f"/v1/verifications/{identity}/resend", {})

    async def status(self, identity: str) -> Answered:
        """Read a verification."""
        return await self.send("GET", f"/v1/verifications/{identity}")

    async def receipt(self, account: str, body: bytes, signature: str = "") -> Answered:
        """Call the carriers' door."""
        headers = {"Content-Type": JSON} | ({"X-Echo-Signature": signature} if signature else {})
        async with self.session.post(f"{self.receipts}/receipts/{account}", data=body, headers=headers) as answer:
            return self._remembered(Answered(answer.status, await answer.read(), dict(answer.headers)))

    # What they are made of ----------------------------------------------------------------------------------------

    async def send(
        self, method: str, path: str, body: Any = None, headers: Iterable[tuple[str, str]] | Mapping[str, str] = ()
    ) -> Answered:
        """Any request: bytes go as they are, anything else as JSON. Headers may stand twice, and replace ours."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        named = {name.lower() for name, _ in given}
        own = {"Authorization": f"Bearer {self.key}", "Content-Type": JSON}
        given += [(name, value) for name, value in own.items() if name.lower() not in named]
        async with self.session.request(method, self.api + path, data=data, headers=given) as answer:
            return self._remembered(Answered(answer.status, await answer.read(), dict(answer.headers)))

    async def wire(self, sent: bytes, *, within_s: float = ANSWERED_WITHIN_S) -> bytes:
        """What the public door answers to bytes on a bare socket until it closes."""
        async with asyncio.timeout(within_s):
            reader, writer = await self.connected()
            try:
                writer.write(sent)
                told = await reader.read()
            finally:
                writer.close()
        self.traces.answers.append(told)
        return told

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection to the public door."""
        place = urlsplit(self.api)
        return await asyncio.open_connection(place.hostname, place.port)

    async def code_on(self, number: str, *, seen: int = 0) -> str:
        """What the phone shows: what the attacker would give much for."""
        code = await self.phones.wait_for_code(number, seen=seen, within_s=30)
        self.traces.codes.add(code)
        return code

    async def issued(self, number: str, **fields: Any) -> tuple[str, str]:
        """A verification of a number, and its code once the phone shows it."""
        seen = len(await self.phones.inbox(number))
        begun = await self.start(number, **fields)
        assert begun.status == 202, begun
        return begun.id, await self.code_on(number, seen=seen)

    def _remembered(self, answered: Answered) -> Answered:
        self.traces.answers.append(answered.body)
        return answered


def other_than(code: str, by: int = 1) -> str:
    """A code of the same length that is not right."""
    return f"{(int(code) + by) % 10 ** len(code):0{len(code)}d}"


def signed(body: bytes, secret: str, *, at: float | None = None) -> str:
    """The signature of a carrier of the echo gateway, dated now unless told otherwise."""
    moment = str(int(time.time() if at is None else at))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, hashlib.sha256).hexdigest()}"
