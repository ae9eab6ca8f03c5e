"""Platforms and their users: they start verifications, read the SMS, type codes right and wrong, ask again, and repeat
what nobody answered. What each was told is kept: the promises are asked of it."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from tests.simulation.loop import go_by
from tests.simulation.premises import POLICIES, PURPOSES, SHOP, number
from tests.simulation.processes import Running
from tests.simulation.tables import Row
from tests.simulation.world import Process, Unanswered, World
from watchword.checks.budgets import Excess
from watchword.checks.decide import Answer, Result
from watchword.checks.desk import Answered, Check
from watchword.events.verification import Signals
from watchword.intake.answers import Accepted, Reply
from watchword.intake.request import Asker, Cancel, Repeat, Request, Resend, Start
from watchword.kernel.ids import attempt_id
from watchword.kernel.instant import to_us
from watchword.kernel.secret import Code
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.postgres import AWAY

TRIES_MAX = 4
CHECK_WITHIN_S = 10.0
_RANDOM_BITS = 80
_VERSION_7, _VARIANT = 0x7 << 76, 0x2 << 62
_AGAIN = (*AWAY, Unanswered, Overloaded)
_EXCESS = Excess(SHOP.id, 1_000, enforced=False)


@dataclass
class Users:
    """Everybody outside. `accepted` are verifications that a platform was promised, in that order; `under_key` what
    each idempotency key was answered; `told` the answers to checks by verification;
    `mixed` are the keys whose answer was somebody else's."""

    world: World
    accepted: list[UUID] = field(default_factory=list)
    under_key: dict[str, set[UUID]] = field(default_factory=dict)
    sends: Counter[str] = field(default_factory=Counter)
    told: dict[UUID, Counter[Result]] = field(default_factory=dict)
    asking: set["asyncio.Task[None]"] = field(default_factory=set)
    mixed: list[str] = field(default_factory=list)
    front: int | None = None
    requests: list[tuple[str, Request]] = field(default_factory=list)
    _draw: random.Random = field(init=False)
    _starts: int = 0

    def __post_init__(self) -> None:
        self._draw = self.world.drawn(self.world.seed, "users")

    @property
    def waiting(self) -> int:
        """How many have not been answered yet."""
        return sum(not task.done() for task in self.asking)

    def start(self, phone: int, purpose: int, *, strict: bool = False) -> None:
        """Somebody begins a verification of one of a few phones."""
        self._starts += 1
        rules = POLICIES["strict" if strict else "default"]
        key = f"key-{self._starts}"
        request = Start(
            asker=Asker(SHOP, Repeat(key, key.encode())),
            verification_id=self._new_id(),
            number=number(phone % 10),
            number_token=f"token-{phone % 10}",
            purpose=PURPOSES[purpose % len(PURPOSES)],
            channel="sms",
            rules=rules,
            policy_version=1,
            locale="en",
            template="default",
            reference="",
            binding={},
            binding_hash="",
            signals=Signals(),
        )
        self.world.tell(f"start {key} for phone {phone % 10}, {request.purpose}, {rules.id}")
        self.requests.append((key, request))
        self._begin(self._request(key, request))

    def ask_again(self) -> None:
        """The platform asks once more under the key it asked with last, as if it had not been answered."""
        key, request = self.requests[-1]
        self.world.tell(f"start {key} again")
        self._begin(self._request(key, msgspec.structs.replace(request, verification_id=self._new_id())))

    def resend(self, which: int) -> None:
        """The code is asked for again."""
        self._named("resend", which, Resend)

    def cancel(self, which: int) -> None:
        """The platform changes its mind."""
        self._named("cancel", which, Cancel)

    def check(self, which: int, *, right: bool) -> None:
        """A code is typed: the newest that came by SMS, or another one."""
        if not self.accepted:
            return
        identity = self.accepted[which % len(self.accepted)]
        code = self._newest_code(identity)
        typed = code if right and code else _other_than(code)
        self.world.tell(f"check {self.name(identity)} with {'the right' if typed == code else 'a wrong'} code")
        self._begin(self._check(identity, typed))

    def name(self, identity: UUID) -> str:
        """A verification as the log calls it."""
        return f"v{self.accepted.index(identity)}" if identity in self.accepted else str(identity)

    def row(self, identity: UUID) -> Row | None:
        """A verification as the database holds it now."""
        return self.world.database.tables["verifications"].get(identity)

    def _named(self, deed: str, which: int, kind: type[Resend] | type[Cancel]) -> None:
        if not self.accepted:
            return
        identity = self.accepted[which % len(self.accepted)]
        self._starts += 1
        key = f"{deed}-{self._starts}"
        self.world.tell(f"{deed} {self.name(identity)}")
        self._begin(self._request(key, kind(Asker(SHOP, Repeat(key, key.encode())), identity)))

    def _begin(self, coro: Any) -> None:
        self.asking = {task for task in self.asking if not task.done()}
        self.asking.add(self.world.loop.spawn(self.world.loop.world, coro))

    async def _request(self, key: str, request: Request) -> None:
        for _ in range(TRIES_MAX):
            try:
                reply = await self.world.ask(self._front(), lambda running: _ask(running, request))
            except _AGAIN:
                await go_by(self._draw.random() * 3.0)
                continue
            self._hear(key, request, reply)
            return
        self.world.tell(f"{key} is given up")

    def _hear(self, key: str, request: Request, reply: Reply) -> None:
        if not isinstance(reply, Accepted):
            self.world.tell(f"{key} is refused: {reply.code}")
            return
        identity = UUID(msgspec.json.decode(reply.body)["id"])
        if not self._is_about(identity, request):
            self.mixed.append(key)
        self.under_key.setdefault(key, set()).add(identity)
        if identity not in self.accepted:
            self.accepted.append(identity)
        if not reply.replayed and not isinstance(request, Cancel):
            self.sends[f"{self.row(identity)['number_token']}"] += 1  # type: ignore[index]  # it was accepted
        self.world.tell(f"{key} is accepted as {self.name(identity)}{', as before' if reply.replayed else ''}")

    def _is_about(self, identity: UUID, request: Request) -> bool:
        """Whether a verification is one that this request may be answered with."""
        row = self.row(identity)
        if isinstance(request, Start):
            return row is not None and (row["number_token"], row["purpose"]) == (request.number_token, request.purpose)
        return identity == request.verification_id

    async def _check(self, identity: UUID, typed: str) -> None:
        row = self.row(identity)
        issued = row is not None and row["state"] == "issued"
        check = Check(SHOP.id, identity, Code(typed), _EXCESS)
        try:
            answered = await self.world.ask(self._front(), lambda running: _check(running, check))
        except _AGAIN as error:
            self.world.tell(f"check of {self.name(identity)} is not answered: {type(error).__name__}")
            return
        if isinstance(answered, Answer) and (issued or answered.result is Result.APPROVED):
            self.told.setdefault(identity, Counter())[answered.result] += 1
        self.world.tell(f"check of {self.name(identity)} is answered {answered}")

    def _front(self) -> Process:
        fronts = self.world.named("front")
        return self._draw.choice(fronts) if self.front is None else fronts[self.front]

    def _newest_code(self, identity: UUID) -> str:
        row = self.row(identity)
        attempts = [
            attempt_id(identity, send_no, try_no)
            for send_no in range(row["sends_requested"] if row is not None else 0, 0, -1)
            for try_no in range(6, 0, -1)
        ]
        return next((self.world.carriers.codes[each] for each in attempts if each in self.world.carriers.codes), "")

    def _new_id(self) -> UUID:
        ms = to_us(self.world.now()) // 1_000
        drawn = self._draw.getrandbits(_RANDOM_BITS) & ~(0xF << 76) & ~(0x3 << 62)
        return UUID(int=ms << _RANDOM_BITS | drawn | _VERSION_7 | _VARIANT)


async def _ask(running: Running, request: Request) -> Reply:
    assert running.intake is not None
    return await running.intake.ask(request)


async def _check(running: Running, check: Check) -> Answered:
    assert running.checks is not None
    return await running.checks.check(check, deadline_s=CHECK_WITHIN_S)


def _other_than(code: str) -> str:
    """A wrong code."""
    return "111111" if code != "111111" else "222222"
