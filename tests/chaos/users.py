"""Users with known truth: what each one did, and what each one was told.

Open loop: a user comes when the time has come, whatever became of those before. Every call is repeated, under the
same Idempotency-Key, until it is answered: 5xx and broken connections are no answer.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
import orjson

from tests.support.carrier import CODE
from tests.support.waiting import paced

CALL_TIMEOUT_S = 10.0
AGAIN_AFTER_S = (0.2, 2.0)  # doubling
CODE_WITHIN_S = 100.0
ANSWER_WITHIN_S = 120.0
FEED_EVERY_S = 0.05
GUESSES_MAX = 12
FIRST_NUMBER = 917_100_000_000
NUMBERS = 1_900_000_000
STRIDE = 100_003  # no two that come together share a range


class Kind(StrEnum):
    """What a user means to do."""

    RIGHT = "right"
    TYPO = "typo"  # a wrong code first
    GUESSER = "guesser"  # wrong codes until the end
    RESEND = "resend"  # asks for the code once more, then types it in
    CANCEL = "cancel"
    SILENT = "silent"  # a short life, never checked
    PUBLISHED = "published"  # asked for on the Kafka door


KINDS: Mapping[Kind, float] = {
    Kind.RIGHT: 0.70, Kind.TYPO: 0.10, Kind.GUESSER: 0.01, Kind.RESEND: 0.06, Kind.CANCEL: 0.03,
    Kind.SILENT: 0.04, Kind.PUBLISHED: 0.06,
}  # fmt: skip
# A purpose has a route of its own, to a gateway of the class it is named after.
PURPOSES: Mapping[str, float] = {"dedupes": 0.4, "asked": 0.2, "blind": 0.15, "held": 0.1, "bound": 0.15}


@dataclass
class User:
    """One user's story. `checks` is what each answered check was told, `unanswered` how many checks were lost on the
    way, `right_typed` whether the code from the phone was ever submitted."""

    number: str
    reference: str
    kind: Kind
    purpose: str
    id: str = ""
    refused: str = ""
    checks: list[str] = field(default_factory=list)
    unanswered: int = 0
    right_typed: bool = False
    cancelled: bool = False
    gave_up: str = ""


@dataclass
class Phone:
    """What one number received: the texts with their reference and moment, oldest first. `came_at` is when the first
    of them was read here, on the loop's clock."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    came_at: float = 0.0

    def code(self) -> str:
        """The code in the newest message, "" without one."""
        found = CODE.search(self.messages[-1]["text"]) if self.messages else None
        return found[0] if found else ""


class Phones:
    """Every phone, read from the simulator's one feed."""

    def __init__(self, session: aiohttp.ClientSession, simulator: str) -> None:
        self._session = session
        self._simulator = simulator
        self._seen = 0
        self.by_number: dict[str, Phone] = {}

    def of(self, number: str) -> Phone:
        """The phone of one number."""
        return self.by_number.setdefault(number, Phone())

    async def read(self) -> None:
        """Take in what came since the last time. Raises what the connection raises."""
        async with self._session.get(f"{self._simulator}/messages?after={self._seen}") as answer:
            told = orjson.loads(await answer.read())
        missed = told["count"] - self._seen - len(told["messages"])
        assert missed == 0, f"{missed} messages were forgotten before they were read"
        self._seen = told["count"]
        for each in told["messages"]:
            phone = self.of(each["number"])
            phone.came_at = phone.came_at or asyncio.get_running_loop().time()
            phone.messages.append(each["sms"])
            phone.news.set()

    async def follow(self) -> None:
        """Read for ever."""
        while True:
            try:
                await self.read()
            except (aiohttp.ClientError, OSError, TimeoutError):
                await paced(1.0)
            await paced(FEED_EVERY_S)


Publish = Callable[[User], Awaitable[None]]


class Users:
    """Brings users and lets them live. `publish` puts one user's request on the Kafka door, acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, *, api: str, key: str, phones: Phones, publish: Publish) -> None:
        self._session = session
        self._api = api
        self._headers = {"Authorization": f"Bearer {key}"}
        self._phones = phones
        self._publish = publish
        self._living: set[asyncio.Task[None]] = set()
        self.all: list[User] = []
        self.problems: Counter[str] = Counter()

    @property
    def living(self) -> int:
        """How many stories are not over."""
        return len(self._living)

    async def come(self, *, rate_per_s: float, draw: random.Random, over: asyncio.Event) -> None:
        """New users at this rate until `over` is set."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not over.is_set():
            user = self._new(draw)
            task = asyncio.create_task(self._live(user), name=user.reference)
            self._living.add(task)
            task.add_done_callback(self._living.discard)
            await paced(began + len(self.all) / rate_per_s - loop.time())

    async def end(self, *, within_s: float) -> None:
        """Let every story end. A story that broke off on a mistake of ours raises it here."""
        if self._living:
            done, left = await asyncio.wait(set(self._living), timeout=within_s)
            for task in left:
                task.cancel()
            for task in done:
                task.result()

    def _new(self, draw: random.Random) -> User:
        [kind] = draw.choices(list(KINDS), list(KINDS.values()))
        [purpose] = draw.choices(list(PURPOSES), list(PURPOSES.values()))
        index = len(self.all)
        user = User(f"+{FIRST_NUMBER + index * STRIDE % NUMBERS}", f"order-{index}", kind, purpose)
        self.all.append(user)
        return user

    async def _live(self, user: User) -> None:
        try:
            await self._begin(user)
            if not user.id:
                return
            match user.kind:
                case Kind.SILENT:
                    return
                case Kind.CANCEL:
                    told = await self._answered("POST", f"/v1/verifications/{user.id}/cancel", {})
                    user.cancelled = told.get("status") == "cancelled"
                case _:
                    await self._use_the_code(user)
        except TimeoutError as late:
            user.gave_up = str(late) or "no answer"

    async def _begin(self, user: User) -> None:
        if user.kind is Kind.PUBLISHED:
            await self._publish(user)
            user.id = await self._id_of_published(user)
            return
        body = {
            "to": user.number,
            "purpose": user.purpose,
            "policy": "short" if user.kind is Kind.SILENT else "load",
            "reference": user.reference,
        }
        told = await self._answered("POST", "/v1/verifications", body, key=user.reference)
        user.id = str(told.get("id", ""))
        user.refused = "" if user.id else str(told.get("code"))

    async def _id_of_published(self, user: User) -> str:
        """A publisher knows its reference; the id is found by it."""
        async with asyncio.timeout(CODE_WITHIN_S):
            while True:
                told = await self._answered("GET", f"/v1/verifications?reference={user.reference}", None)
                found = told.get("verifications", [])
                if found:
                    return str(found[0]["id"])
                await paced(AGAIN_AFTER_S[1])

    async def _use_the_code(self, user: User) -> None:
        code = await self._code(user, seen=0)
        if user.kind is Kind.RESEND:
            await paced(1.1)  # the gap between sends, as the policy has it
            seen = len(self._phones.of(user.number).messages)
            told = await self._answered(
                "POST", f"/v1/verifications/{user.id}/resend", {}, key=f"{user.reference}-again"
            )
            if "id" in told:
                code = await self._code(user, seen=seen)
        wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
        guesses = {Kind.TYPO: 1, Kind.GUESSER: GUESSES_MAX}.get(user.kind, 0)
        for _ in range(guesses):
            if await self._check(user, wrong) != "wrong":
                return
        if user.kind is not Kind.GUESSER:
            user.right_typed = True
            await self._check(user, code)

    async def _code(self, user: User, *, seen: int) -> str:
        phone = self._phones.of(user.number)
        try:
            async with asyncio.timeout(CODE_WITHIN_S):
                while len(phone.messages) <= seen:
                    phone.news.clear()
                    await phone.news.wait()
        except TimeoutError:
            raise TimeoutError("no code came") from None
        return phone.code()

    async def _check(self, user: User, code: str) -> str:
        lost = Counter[str]()
        told = await self._answered("POST", f"/v1/verifications/{user.id}/check", {"code": code}, lost=lost)
        user.unanswered += lost.total()
        user.checks.append(str(told.get("result") or told.get("code")))
        return user.checks[-1]

    async def _answered(
        self, method: str, path: str, body: Any, *, key: str = "", lost: Counter[str] | None = None
    ) -> dict[str, Any]:
        """The answer to one call. Raises TimeoutError where none comes."""
        headers = self._headers | ({"Idempotency-Key": f'"{key}"'} if key else {})
        pause_s, pause_max_s = AGAIN_AFTER_S
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                word = ""
                try:
                    async with self._session.request(method, self._api + path, json=body, headers=headers) as answer:
                        told = dict(orjson.loads(await answer.read()))
                        if answer.status < 500 and told.get("code") != "idempotency_in_progress":
                            return told
                        word = f"{answer.status} {told.get('code', '')}"
                except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
                    word = type(error).__name__
                self.problems[word] += 1
                if lost is not None:
                    lost[word] += 1
                await paced(pause_s)
                pause_s = min(2 * pause_s, pause_max_s)
