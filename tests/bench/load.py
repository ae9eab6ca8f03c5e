"""An open-loop platform: requests leave at their time, whatever became of the ones before (performance.md).

It calls as dispatch calls a gateway, which costs half of what a session does: whatever the load itself uses is taken
from the machine that is measured, and adds to every latency.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import orjson

from tests.bench.figures import Seen
from tests.support.carrier import CODE
from tests.support.waiting import paced
from watchword.dispatch.calling import Caller, Gate, Silence
from watchword.gateways.contract import Request

CALL_TIMEOUT_S = 10.0
FEED_EVERY_S = 0.02
CONNECTIONS_MAX = 512
NUMBERS = 1_900_000_000
FIRST_NUMBER = 917_100_000_000
STRIDE = 100_003


class Phones:
    """Every phone of the carrier simulator: what came since somebody looked last."""

    def __init__(self, simulator: str, session: aiohttp.ClientSession) -> None:
        self._url = f"{simulator}/messages?after="
        self._session = session
        self._read = 0

    async def received(self) -> list[dict[str, Any]]:
        """The messages since the last look, none where nobody answered: they are still there the next time."""
        try:
            async with self._session.get(f"{self._url}{self._read}") as answer:
                told = orjson.loads(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return []
        self._read = told["count"]
        messages: list[dict[str, Any]] = told["messages"]
        return messages


def carried_at(message: dict[str, Any]) -> float:
    """When the carrier had it, in seconds since 1970."""
    return datetime.fromisoformat(message["sms"]["time"]).timestamp()


@dataclass
class _Open:
    id: str
    purpose: str
    accepted_at: float


class Platform:
    """Starts verifications and types in what the phones receive. There are so many `phones`: then they come again."""

    def __init__(self, *, api: str, key: str, simulator: str, phones: int = NUMBERS) -> None:
        self._api = api
        self._simulator = simulator
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._open: dict[str, _Open] = {}
        self._early: dict[str, dict[str, Any]] = {}
        self._next = 0
        self._numbers = phones
        self.seen = Seen()

    async def __aenter__(self) -> "Platform":
        self._caller = Caller(CONNECTIONS_MAX)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))
        self._phones = Phones(self._simulator, self._session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._caller.close()
        await self._session.close()

    async def run(
        self, *, rate_per_s: float, seconds: float, drain_s: float = 10.0, purposes: Sequence[str] = ("login",)
    ) -> Seen:
        """One load, its verifications for each of `purposes` in turn; answers what it saw. What is not over `drain_s`
        after the last start counts as failed."""
        self.seen = Seen()
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        feed = asyncio.create_task(self._feed(tasks))
        began = loop.time()
        for index in range(int(rate_per_s * seconds)):
            behind_s = began + index / rate_per_s - loop.time()
            if behind_s > 0:
                await paced(behind_s)
            self._begin(self._start(purposes[index % len(purposes)], tasks), tasks)
        self.seen.took_s = loop.time() - began
        self.seen.unfinished = len(self._open) + len(tasks)
        until = loop.time() + drain_s
        while loop.time() < until and (self._open or tasks):
            await paced(FEED_EVERY_S)
        feed.cancel()
        await asyncio.wait({feed})
        self.seen.failed += len(self._open)
        self._open.clear()
        self._early.clear()
        return self.seen

    def _begin(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _start(self, purpose: str, tasks: set[asyncio.Task[None]]) -> None:
        number = f"+{FIRST_NUMBER + self._next % self._numbers * STRIDE % NUMBERS}"
        self._next += 1
        self.seen.started += 1
        body = orjson.dumps({"to": number, "policy": "load", "purpose": purpose})
        before = asyncio.get_running_loop().time()
        status, told = await self._call("/v1/verifications", body)
        if status != 202:
            self._refuse(told)
            return
        now = asyncio.get_running_loop().time()
        self.seen.accept_ms.append((now - before) * 1000)
        self._open[number] = _Open(told["id"], purpose, datetime.now().astimezone().timestamp())
        if number in self._early:
            self._type_in(self._early.pop(number), tasks)

    async def _check(self, opened: _Open, code: str) -> None:
        before = asyncio.get_running_loop().time()
        status, told = await self._call(f"/v1/verifications/{opened.id}/check", orjson.dumps({"code": code}))
        if status != 200 or told["result"] != "approved":
            self._refuse(told)
            return
        self.seen.check_ms.append((asyncio.get_running_loop().time() - before) * 1000)
        self.seen.approved += 1

    async def _call(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        request = Request("POST", self._api + path, self._headers, body)
        answer = await self._caller.call(request, Gate(lambda: ""), timeout_s=CALL_TIMEOUT_S)
        if isinstance(answer, Silence):
            return 0, {"code": answer.word}
        return answer.status, orjson.loads(answer.body)

    async def _feed(self, tasks: set[asyncio.Task[None]]) -> None:
        """Reads what all phones received, and has each code typed in at once."""
        while True:
            await paced(FEED_EVERY_S)
            for message in await self._phones.received():
                self._type_in(message, tasks)

    def _type_in(self, message: dict[str, Any], tasks: set[asyncio.Task[None]]) -> None:
        opened = self._open.pop(message["number"], None)
        found = CODE.search(message["sms"]["text"])
        if opened is None:  # the code was quicker than the answer
            self._early[message["number"]] = message
        if opened is None or found is None:
            return
        self.seen.carried(opened.purpose, carried_at(message), since=opened.accepted_at)
        self._begin(self._check(opened, found[0]), tasks)

    def _refuse(self, told: dict[str, Any]) -> None:
        word = str(told.get("result") or told.get("code"))
        self.seen.refused[word] = self.seen.refused.get(word, 0) + 1
