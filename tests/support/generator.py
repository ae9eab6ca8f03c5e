"""A platform under load: starts verifications at a steady rate, types in what the phones show, keeps the truth.

Open loop: the next request leaves when its time has come, whatever became of the one before. Every call is repeated
with the same Idempotency-Key until it is answered, as a platform would.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.carrier import CODE
from tests.support.waiting import paced

CALL_TIMEOUT_S = 10.0
AGAIN_AFTER_S = 0.1
LOOK_EVERY_S = 0.05


@dataclass
class Told:
    """What became of one verification, as its platform knows it."""

    number: str
    id: str = ""
    result: str = ""
    starts: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """`count` verifications at `rate_per_s`, each on a number of its own; each must be over within `patience_s`."""

    count: int
    rate_per_s: float
    patience_s: float = 60.0
    first_number: int = 919_700_000_000

    def number(self, index: int) -> str:
        """The phone of one verification: spread over the range, so that none is pumped."""
        return f"+{self.first_number + index * 10_007}"


class Generator:
    """Drives one load against the public API at `api`, reading the phones of the simulator at `simulator`."""

    def __init__(self, session: aiohttp.ClientSession, *, api: str, key: str, simulator: str) -> None:
        self._session = session
        self._api = api
        self._headers = {"Authorization": f"Bearer {key}"}
        self._simulator = simulator

    async def run(self, load: Load, *, until: asyncio.Event | None = None) -> list[Told]:
        """Everything that was started, over or given up. Nothing more is started once `until` is set."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        tasks: list[asyncio.Task[Told]] = []
        for index in range(load.count):
            await paced(began + index / load.rate_per_s - loop.time())
            if until is not None and until.is_set():
                break
            tasks.append(asyncio.create_task(self._verify(load.number(index), load.patience_s)))
        return list(await asyncio.gather(*tasks))

    async def _verify(self, number: str, patience_s: float) -> Told:
        told = Told(number)
        try:
            async with asyncio.timeout(patience_s):
                answer = await self._until_answered(told, "/v1/verifications", {"to": number, "policy": "load"})
                told.id = str(answer.get("id", ""))
                if not told.id:
                    told.result = f"refused: {answer}"
                    return told
                code = await self._code(number)
                checked = await self._until_answered(told, f"/v1/verifications/{told.id}/check", {"code": code})
                told.result = str(checked.get("result", checked.get("code")))
        except TimeoutError:
            told.problems.append("not over in time")
        return told

    async def _until_answered(self, told: Told, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call, repeated while the service is away or sheds."""
        headers = {**self._headers, "Idempotency-Key": f'"{told.number}-{path[-5:]}"'}
        while True:
            told.starts += 1
            try:
                async with self._session.post(self._api + path, json=body, headers=headers) as answer:
                    if answer.status < 500:
                        return dict(await answer.json(content_type=None))
                    told.problems.append(str(answer.status))
            except (aiohttp.ClientError, OSError) as error:
                told.problems.append(type(error).__name__)
            await paced(AGAIN_AFTER_S)

    async def _code(self, number: str) -> str:
        while True:
            async with self._session.get(f"{self._simulator}/phones/{number}") as answer:
                messages = await answer.json()
            if messages and (found := CODE.search(messages[-1]["text"])):
                return found[0]
            await paced(LOOK_EVERY_S)


@asynccontextmanager
async def generator(*, api: str, key: str, simulator: str) -> AsyncIterator[Generator]:
    """A generator with its own connections."""
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=256)) as session:
        yield Generator(session, api=api, key=key, simulator=simulator)
