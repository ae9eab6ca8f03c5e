"""People who ask once each, at a pace that nothing slows: what they were answered, and when their codes came."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.chaos.installation import Installation
from tests.chaos.users import FIRST_NUMBER, NUMBERS, STRIDE, Kind, Phones, User
from tests.support.waiting import paced
from watchword.dispatch.calling import Caller, Gate, Silence
from watchword.gateways.contract import Request

TAIL = 0.99
SLOT_S = 0.01
ASKED_MAX_PER_S = 1_500.0  # of one process; from there on it waits for itself, and tells that as an answer's time
UNANSWERED_MAX = 2_000  # more at once says more of whoever asks than of who answers
PATIENCE_S = 60.0
PROBE_EVERY_S = 0.25
PROBES_IN_A_ROW = 3


@dataclass
class Flood:
    """What a load was answered, and for how long whoever was accepted waited for a code. `typing` are those who wait
    for one, to type it in."""

    users: list[User] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    unhinted: int = 0  # refusals that did not say when to come back
    accepted_at: dict[str, float] = field(default_factory=dict)
    coded_s: list[float] = field(default_factory=list)
    typing: set[asyncio.Task[None]] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def offered_per_s(self) -> float:
        """How fast they really asked."""
        return len(self.users) / self.seconds if self.seconds else 0.0


@asynccontextmanager
async def calling() -> AsyncIterator[Caller]:
    """Connections for all of them."""
    caller = Caller(UNANSWERED_MAX)
    try:
        yield caller
    finally:
        await caller.close()


class Crowd:
    """Asks for verifications of one tenant, watches the phones, and types each code in when it comes: people who all
    ask and never type look like an attack, and are refused as one. `numbers` are the phones'. It calls as dispatch
    calls a gateway: a slower way is full before the door is, and then waits for itself."""

    def __init__(self, made: Installation, phones: Phones, caller: Caller, *, key: str, numbers: Iterator[int]) -> None:
        self._api = made.stack.api_url
        self._phones = phones
        self._caller = caller
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._numbers = numbers
        self.users: list[User] = []

    async def load(self, *, rate_per_s: float, seconds: float) -> Flood:
        """An open-loop load; returns when every request is answered."""
        flood, loop = Flood(), asyncio.get_running_loop()
        began, asking = loop.time(), set[asyncio.Task[User]]()
        while (passed_s := loop.time() - began) < seconds:
            due = int(passed_s * rate_per_s) - len(flood.users)
            for _ in range(min(due, UNANSWERED_MAX - len(asking))):
                task = asyncio.create_task(self.start(flood))
                asking.add(task)
                task.add_done_callback(asking.discard)
            await paced(SLOT_S)
        flood.seconds = loop.time() - began
        await asyncio.gather(*asking)
        return flood

    async def start(self, flood: Flood) -> User:
        """One request, asked once."""
        number = next(self._numbers)
        user = User(f"+{FIRST_NUMBER + number * STRIDE % NUMBERS}", f"crowd-{number}", Kind.SILENT, "dedupes")
        self.users.append(user)
        flood.users.append(user)
        loop = asyncio.get_running_loop()
        began = loop.time()
        body = {"to": user.number, "policy": "short", "reference": user.reference}
        status, hinted, told = await self._ask("/v1/verifications", body)
        took_ms = (loop.time() - began) * 1_000
        flood.statuses[status] += 1
        user.id, user.refused = str(told.get("id", "")), str(told.get("code", ""))
        if user.id:
            flood.accepted_at[user.number] = loop.time()
            flood.accepted_ms.append(took_ms)
            flood.typing.add(asyncio.create_task(self._type_in(user, flood)))
        else:
            flood.refused_ms.append(took_ms)
            flood.unhinted += not hinted
        return user

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, bool, dict[str, Any]]:
        request = Request("POST", self._api + path, self._headers, orjson.dumps(body))
        answer = await self._caller.call(request, Gate(lambda: ""), timeout_s=PATIENCE_S)
        if isinstance(answer, Silence):
            return 0, False, {"code": answer.word}
        return answer.status, "Retry-After" in answer.headers, dict(orjson.loads(answer.body))

    async def coded(self, flood: Flood, *, within_s: float = PATIENCE_S) -> None:
        """Wait until every accepted one of these has typed its code in, or patience is over."""
        if not flood.typing:
            return
        done, late = await asyncio.wait(flood.typing, timeout=within_s)
        for task in late:
            task.cancel()
        for task in done:
            task.result()

    async def _type_in(self, user: User, flood: Flood) -> None:
        phone = self._phones.of(user.number)
        while not phone.messages:
            phone.news.clear()
            await phone.news.wait()
        flood.coded_s.append(phone.came_at - flood.accepted_at[user.number])
        status, _, told = await self._ask(f"/v1/verifications/{user.id}/check", {"code": phone.code()})
        user.right_typed = True
        user.checks += [str(told["result"])] if status == 200 else []

    async def recovered_s(self, soon_s: float) -> float:
        """How long until some in a row are accepted and have their codes within `soon_s`."""
        loop = asyncio.get_running_loop()
        began, in_a_row, since = loop.time(), 0, loop.time()
        while loop.time() - began < PATIENCE_S:
            asked_at = loop.time()
            probe = Flood()
            await self.start(probe)
            await self.coded(probe, within_s=soon_s)
            soon = bool(probe.coded_s)
            in_a_row = in_a_row + 1 if soon else 0
            since = asked_at if in_a_row == 1 else since
            if in_a_row == PROBES_IN_A_ROW:
                return since - began
            await paced(PROBE_EVERY_S)
        return PATIENCE_S


def tail(values: Sequence[float]) -> float:
    """The value below which 99 % lie, 0 of none."""
    return sorted(values)[min(int(len(values) * TAIL), len(values) - 1)] if values else 0.0
