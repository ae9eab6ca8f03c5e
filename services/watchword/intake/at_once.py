"""Starts that nothing stands in the way of: one statement begins those that came together, and is their transaction.

Most starts are of a number that has no live verification, under a new key, with room in every bucket. What such a start
leads to is known before anything is read, so it is decided first, and the statement writes it where it was right.
Whatever else it is, the desk decides under locks.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import msgspec

from watchword.intake import store
from watchword.intake.answers import Accepted
from watchword.intake.decide import ACCEPTED, beginning, limits_for, refused_at_sight
from watchword.intake.limits import Limit, room_of
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.request import Request, Start, touched
from watchword.intake.store import Beginning, Begun
from watchword.intake.subjects import Subject, Subjects
from watchword.kernel.instant import to_us
from watchword.kernel.verdict import Write
from watchword.runtime import acting
from watchword.runtime.acting import Cause, Told
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.failpoints import reach
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import Connection, Pool, is_away
from watchword.runtime.sealing import Key, SealBroken
from watchword.runtime.telling import Teller

TRIES = 2  # a number that is known already is sealed once more, under the key that it has

# Somebody came in between (the statement divides by zero), or holds what it needs for longer than it may wait.
_NOT_AT_ONCE = (asyncpg.DivisionByZeroError, asyncpg.LockNotAvailableError)


class Supposed(msgspec.Struct, frozen=True):
    """A start as it ends where nothing stands in its way: the answer but for what is left of its tenant's rate, the
    verification's row but for what is sealed, its first event as it is stored, and the limits it takes from, the
    tenant's first."""

    request: Start
    answer: Accepted
    write: Write
    row: OutboxRow
    limits: tuple[Limit, ...]

    @property
    def subject(self) -> Subject:
        """Whose number it is."""
        return self.request.asker.tenant.id, self.request.number_token

    def sealed(self, number: bytes, own_code: bytes | None, wrapped_key: bytes) -> Beginning:
        """What the statement is given of it."""
        repeat, answer = self.request.asker.repeat, self.answer
        kept = (repeat.key, repeat.fingerprint) if repeat is not None else (None, None)
        begun = (self.write.key, sum(emit.counted for emit in self.write.emits), *self.write.row, number, own_code)
        return Beginning(
            row=(*begun, *kept, answer.status, answer.body, wrapped_key, self.limits[0].key),
            event=self.row,
            limits=self.limits,
        )


@dataclass(slots=True)
class _DataKeys:
    """The data key of each number of a batch, and how it is wrapped."""

    subjects: Subjects
    known: dict[Subject, tuple[Key, bytes]] = field(default_factory=dict, repr=False)

    def of(self, subject: Subject) -> tuple[Key, bytes]:
        if subject not in self.known:
            self.known[subject] = self.subjects.fresh(subject)
        return self.known[subject]

    def learn(self, subject: Subject, wrapped: bytes | None) -> bool:
        """Whether the number has another data key than the one that was used, and may be sealed anew. One that does
        not open is for the desk to say."""
        if wrapped is None or wrapped == self.known[subject][1]:
            return False
        try:
            self.known[subject] = self.subjects.data_key(wrapped, subject), wrapped
        except SealBroken:
            return False
        return True


def supposed(request: Start, now: datetime) -> Supposed | None:
    """What the start leads to if the database holds nothing against it; None if it is refused even so."""
    if refused_at_sight(request, now) is not None:
        return None
    body, write = beginning(request, now)
    [emit] = write.emits
    row = acting.outbox_row(Told(emit, 1, cause_of(request)), "intake", now)
    return Supposed(request, Accepted(ACCEPTED, body), write, row, limits_for(request, None))


def cause_of(request: Request) -> Cause:
    """What a request's events say they come from."""
    published = request.asker.publisher
    event_id = published.request_id if published is not None else ""
    return Cause(event_id, event_id, request.asker.traceparent)


def with_room(begun: Sequence[tuple[Supposed, Begun]], now: datetime) -> list[Accepted]:
    """The answers, each with what its tenant's bucket held after it: `tat` is how the last of them left it."""
    after = Counter(one.limits[0].key for one, _ in begun)
    answers, now_us = [], to_us(now)
    for one, told in begun:
        limit = one.limits[0]
        after[limit.key] -= 1
        tat_us = to_us(told.tat) - after[limit.key] * limit.rate.spacing_us
        answers.append(Accepted(one.answer.status, one.answer.body, room=room_of(limit.rate, tat_us, now_us)))
    return answers


def _firsts(requests: Sequence[Start]) -> Iterator[tuple[Start, bool]]:
    """Each request, and whether it shares nothing with those before it."""
    taken: set[Hashable] = set()
    for request in requests:
        keys = frozenset(touched(request))
        yield request, taken.isdisjoint(keys)
        taken |= keys


class AtOnce:
    """Begins what can be begun at once, batch by batch."""

    def __init__(
        self, *, pool: Pool, clock: DatabaseClock, subjects: Subjects, teller: Teller, metrics: IntakeMetrics
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._subjects = subjects
        self._teller = teller
        self._metrics = metrics

    async def begin(self, requests: Sequence[Start]) -> list[Accepted | Exception | None]:
        """The answer to each start that was begun, committed; None for one that was left as it was, for the desk to
        decide: of several that share a number and purpose, or a key, all but the first. What one try committed stays
        said whatever comes of the next: then one of `postgres.AWAY` for each start of which nobody knows what became.
        Raises one of those, or what it was, if nothing was committed before.
        """
        await self._clock.refresh()
        now = self._clock.now()
        guesses = [supposed(request, now) if is_first else None for request, is_first in _firsts(requests)]
        left = {each.write.key: each for each in guesses if each is not None}
        answers: dict[str, Accepted | Exception] = {}
        keys = _DataKeys(self._subjects)
        async with self._pool.acquire(timeout=5) as connection:
            for _ in range(TRIES):
                try:
                    begun, left = await self._try(connection, left, keys, now)
                except Exception as error:
                    if not answers:
                        raise
                    answers |= dict.fromkeys(left, error) if is_away(error) else {}
                    break
                answers |= begun
        self._metrics.tell(each for each in answers.values() if isinstance(each, Accepted))
        return [answers.get(each.write.key) if each is not None else None for each in guesses]

    async def _try(
        self, connection: Connection, wanted: Mapping[str, Supposed], keys: _DataKeys, now: datetime
    ) -> tuple[dict[str, Accepted], dict[str, Supposed]]:
        """The answers to those that were begun, and what is worth another try."""
        if not wanted:
            return {}, {}
        told = await self._begin(connection, list(wanted.values()), keys, now)
        begun = [(each, told[key]) for key, each in wanted.items() if told[key].begun]
        left = {key: each for key, each in wanted.items() if not told[key].begun}
        self._teller.tell_soon([each.row for each, _ in begun])
        answers = dict(zip((each.write.key for each, _ in begun), with_room(begun, now), strict=True))
        return answers, {key: each for key, each in left.items() if keys.learn(each.subject, told[key].known_key)}

    async def _begin(
        self, connection: Connection, wanted: Sequence[Supposed], keys: _DataKeys, now: datetime
    ) -> dict[str, Begun]:
        reach("intake.gathered")
        beginnings = []
        for each in wanted:
            data_key, wrapped = keys.of(each.subject)
            beginnings.append(each.sealed(*self._subjects.sealed(each.request, data_key), wrapped))
        settled = self._teller.settled
        reach("intake.acted")
        try:
            told = await store.begin_at_once(connection, beginnings, settled, now)
        except _NOT_AT_ONCE:
            return {each.write.key: Begun(begun=False) for each in wanted}
        reach("intake.committed")
        self._teller.forget(settled)
        return told
