"""Where checks are answered: those that arrive together share two transactions, one that counts and one that
concludes. Nothing is compared before the count is committed, so no fault and no race gives a guess for free."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from watchword.checks import charging, store
from watchword.checks.budgets import Charge, Excess
from watchword.checks.decide import Answer, CheckFacts, Guess, Result, answer, conclude, conclude_late, uncounted
from watchword.checks.metrics import ChecksMetrics
from watchword.checks.store import Conclusion, Found, Tally, Unreadable
from watchword.kernel.secret import Code
from watchword.kernel.verification import State
from watchword.runtime import acting, outbox
from watchword.runtime.acting import Cause, Told
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.coalesce import Coalescer
from watchword.runtime.crowding import Crowd
from watchword.runtime.failpoints import reach
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.postgres import Connection, Pool
from watchword.runtime.sealing import check_mac, macs_equal
from watchword.runtime.telling import Teller

EVERY_S = 0.004
TENANT_WAITING_MAX = 1_000
VERIFICATION_WAITING_MAX = 256  # each of them is in a batch of its own
_NO_MAC = bytes(32)
_PASSED_MEANWHILE = Answer(Result.EXPIRED, 0)


class Check(msgspec.Struct, frozen=True):
    """One check as asked: whose, of which verification, the code as typed, what its tenant bears of wrong ones, and
    the hash of the binding, None where the caller gave none."""

    tenant: str
    verification_id: UUID
    code: Code
    excess: Excess
    binding_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The tenant has no such verification."""


class Exhausted(msgspec.Struct, frozen=True):
    """The number or the tenant has had too many wrong guesses; the check was neither counted nor compared, and which of
    the two it is is not told."""

    retry_after_s: int


class _Counted(msgspec.Struct, frozen=True):
    check: Check
    found: Found
    guess: Guess
    seq: int | None


Answered = Answer | Unknown | Exhausted | Unreadable
Number = tuple[str, str, str]  # tenant, number token, purpose
_Count = tuple[Mapping[UUID, Found], dict[UUID, Answered], dict[UUID, Tally]]


class Desk:
    """Answers checks. Two checks of one verification never share a batch: the second sees what the first did."""

    def __init__(
        self, *, pool: Pool, clock: DatabaseClock, keyring: Keyring, teller: Teller, metrics: ChecksMetrics
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._keyring = keyring
        self._teller = teller
        self._metrics = metrics
        # Whether the last batch was concluded. Where nothing can be told, on a full disk say, every check would be
        # counted and none answered, and whoever tries again would be locked out by codes that were right: then one
        # batch pays for finding out, and the next ones ask first.
        self._concludes = True
        self._tenants, self._verifications = Crowd(TENANT_WAITING_MAX), Crowd(VERIFICATION_WAITING_MAX)
        self._checks: Coalescer[Check, Answered] = Coalescer(
            self._flush,
            keys=lambda check: (check.verification_id,),
            every_s=EVERY_S,
            observe=metrics.batch_size.observe,
        )
        self._numbers: Coalescer[Number, UUID | None] = Coalescer(self._find_latest, keys=lambda number: ())

    async def start(self) -> None:
        """Begin to answer."""
        await self._clock.refresh()
        await self._checks.start()
        await self._numbers.start()

    async def stop(self) -> None:
        """Answer what waits, then end."""
        await self._numbers.stop()
        await self._checks.stop()

    async def check(self, check: Check, *, deadline_s: float) -> Answered:
        """The answer to one check. Raises Overloaded, TimeoutError, or one of `postgres.AWAY`: then it may have
        been counted, and nobody was told that it was right."""
        with self._tenants.place(check.tenant), self._verifications.place(check.verification_id):
            return await self._checks.submit(check, deadline_s=deadline_s)

    async def latest(self, number: Number, *, deadline_s: float) -> UUID | None:
        """The number's newest verification, None where there never was one. Raises as `check` does."""
        with self._tenants.place(number[0]):
            return await self._numbers.submit(number, deadline_s=deadline_s)

    async def _find_latest(self, numbers: Sequence[Number]) -> list[UUID | None]:
        async with self._pool.acquire(timeout=5) as connection:
            found = await store.latest(connection, list(dict.fromkeys(numbers)))
        return [found.get(number) for number in numbers]

    async def _flush(self, checks: Sequence[Check]) -> list[Answered]:
        await self._clock.refresh()
        asked = {check.verification_id: check for check in checks}
        async with self._pool.acquire(timeout=5) as connection:
            if not self._concludes:
                await outbox.try_out(connection)
            self._concludes = False
            counted = await self._count_at_once(connection, asked) or await self._count(connection, asked)
            found, answers, tallies = counted
            reach("checks.counted")
            guesses = {each: self._compare(check, found.get(each), tallies.get(each)) for each, check in asked.items()}
            guessed = [_Counted(asked[each], found[each], guesses[each], tally.seq) for each, tally in tallies.items()]
            answers |= await self._conclude_at_once(connection, guessed)
            left = [each for each in guessed if each.check.verification_id not in answers]
            answers |= await self._conclude(connection, left)
            self._concludes = True
        answered = [answers.get(check.verification_id, Unknown()) for check in checks]
        self._metrics.tell(answered)
        return answered

    async def _count_at_once(self, connection: Connection, asked: Mapping[UUID, Check]) -> _Count | None:
        """The first transaction where every budget has room: one statement. None if it changed nothing, so that what is
        short is found out under locks."""
        in_order = sorted(asked, key=lambda each: each.int)
        wanted = [(each, asked[each].tenant, asked[each].excess.per_hour) for each in in_order]
        try:
            seen = await store.count_at_once(connection, wanted)
        except asyncpg.DataError:  # somebody came in between, or one of them cannot be read
            return None
        found: dict[UUID, Found] = {}
        answers: dict[UUID, Answered] = {}
        tallies: dict[UUID, Tally] = {}
        for each, one in seen.items():
            if isinstance(one, Unreadable):
                answers[each] = one
                continue
            found[each] = one.found
            if one.tally is not None:
                tallies[each] = one.tally
            elif one.countable:
                return None
            else:
                answers[each] = uncounted(one.found.facts) or _PASSED_MEANWHILE
        return found, answers, tallies

    async def _count(self, connection: Connection, asked: Mapping[UUID, Check]) -> _Count:
        """The first transaction: answers for what is not to be counted, tallies for what was."""
        async with connection.transaction():
            rows = await store.find(connection, [(each, check.tenant) for each, check in asked.items()])
            found = {each: one for each, one in rows.items() if isinstance(one, Found)}
            answers, tallies = await self._charge_and_count(connection, asked, found)
        return found, answers | {each: one for each, one in rows.items() if isinstance(one, Unreadable)}, tallies

    async def _charge_and_count(
        self, connection: Connection, asked: Mapping[UUID, Check], found: Mapping[UUID, Found]
    ) -> tuple[dict[UUID, Answered], dict[UUID, Tally]]:
        answers: dict[UUID, Answered] = {
            each: known for each, one in found.items() if (known := uncounted(one.facts)) is not None
        }
        wanted = {each: one for each, one in found.items() if each not in answers}
        excesses = {each: asked[each].excess for each in wanted}
        charged = await charging.charge(connection, wanted, excesses, self._clock.now())
        self._metrics.excess.add(charged.excessive)
        refused: dict[UUID, Answered] = {each: Exhausted(wait_s) for each, wait_s in charged.retry_after_s.items()}
        tallies = await store.count(connection, [each for each in wanted if each not in refused])
        passed = {each: _PASSED_MEANWHILE for each in wanted if each not in refused and each not in tallies}
        return answers | passed | refused, tallies

    def _compare(self, check: Check, found: Found | None, tally: Tally | None) -> Guess:
        """The comparison, done in full for every check: one that was not counted takes as long as one that was."""
        facts = found.facts if found else None
        candidates = [
            check_mac(
                pepper,
                tenant=check.tenant,
                verification=check.verification_id,
                number_token=facts.about.number_token if facts else "",
                purpose=facts.about.purpose if facts else "",
                binding_hash=facts.binding_hash if facts else "",
                code=check.code,
            )
            for pepper in self._keyring.opening(Purpose.PEPPER)
        ]
        right = macs_equal(tally.mac or _NO_MAC if tally else _NO_MAC, candidates)
        return Guess(tally.check_no if tally else 0, right, _is_bound(check, facts))

    async def _conclude_at_once(self, connection: Connection, counted: Sequence[_Counted]) -> dict[UUID, Answered]:
        """The second transaction as one statement, for whatever nobody told of since it was counted."""
        now = self._clock.now()
        wanted = {each.check.verification_id: each for each in counted if each.seq is not None}
        if not wanted:
            return {}
        conclusions = {each: _conclusion(one, one.seq, now) for each, one in wanted.items() if one.seq is not None}
        settled = self._teller.settled
        reach("checks.acted")
        done = await store.conclude_at_once(connection, list(conclusions.values()), settled)
        reach("checks.committed")
        self._teller.forget(settled)
        self._teller.tell_soon([row for each, one in conclusions.items() if each in done for row in one.events])
        return {each: answer(wanted[each].found.facts, wanted[each].guess) for each in wanted if each in done}

    async def _conclude(self, connection: Connection, counted: Sequence[_Counted]) -> dict[UUID, Answered]:
        """The second transaction: consume, lock or note, and tell. An ending that changed no row is none."""
        if not counted:
            return {}
        async with connection.transaction():
            done = [conclude(each.found.facts, each.guess) for each in counted]
            told = await store.carry_out(connection, done)
            reached = {one.emit.subject for one in told}
            late = [each for each in counted if str(each.check.verification_id) not in reached]
            answers: dict[UUID, Answered] = {
                each.check.verification_id: answer(each.found.facts, each.guess) for each in counted
            }
            if late:
                late_answers, late_told = await self._conclude_late(connection, late)
                answers |= late_answers
                told += late_told
            await store.give_back(connection, [charge for each in counted for charge in _given_back(each)])
            now = self._clock.now()
            rows = [acting.outbox_row(each, "checks", now) for each in told]
            settled = await self._teller.store(connection, rows)
            reach("checks.acted")
        reach("checks.committed")
        self._teller.forget(settled)
        self._teller.tell_soon(rows)
        return answers

    async def _conclude_late(
        self, connection: Connection, late: Sequence[_Counted]
    ) -> tuple[dict[UUID, Answered], list[Told]]:
        """Checks whose verification ended between the count and the comparison, by somebody else's hand."""
        states = await store.states(connection, [each.check.verification_id for each in late])
        verdicts = {
            each.check.verification_id: conclude_late(
                each.found.facts, each.guess, states.get(each.check.verification_id, State.EXPIRED)
            )
            for each in late
        }
        told = await store.carry_out(connection, [done for _, done in verdicts.values()])
        return {each: one for each, (one, _) in verdicts.items()}, told


def _conclusion(counted: _Counted, seq: int, now: datetime) -> Conclusion:
    """What `counted` writes and tells if its verification's newest event is still number `seq`."""
    [write] = conclude(counted.found.facts, counted.guess).writes
    told = [Told(emit, seq + number, Cause()) for number, emit in enumerate(write.emits, 1)]
    rows = tuple(acting.outbox_row(each, "checks", now) for each in told)
    return Conclusion(write, seq, tuple(_given_back(counted)), rows)


def _given_back(counted: _Counted) -> Iterable[Charge]:
    """What a right code gives back to its number and its tenant."""
    if counted.guess.right and counted.guess.bound:
        yield from counted.found.charged
        yield counted.check.excess.returned()


def _is_bound(check: Check, facts: CheckFacts | None) -> bool:
    return check.binding_hash is None or facts is None or check.binding_hash == facts.binding_hash
