"""Where requests are decided: those that arrive together share one transaction, whichever door they came through."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg
import msgspec

from watchword.intake import store
from watchword.intake.answers import Accepted, Refused, Reply
from watchword.intake.at_once import AtOnce, cause_of
from watchword.intake.decide import Ruling, decide_all, limits_for
from watchword.intake.limits import Buckets
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.request import Request, Start, touched
from watchword.intake.settings import IntakeSettings
from watchword.intake.store import KeyHeld
from watchword.intake.subjects import Subject, Subjects
from watchword.kernel.instant import to_us
from watchword.kernel.verdict import Done
from watchword.runtime import acting
from watchword.runtime.clock import DatabaseClock, monotonic_s
from watchword.runtime.coalesce import Coalescer, Overloaded
from watchword.runtime.failpoints import reach
from watchword.runtime.keyring import Keyring
from watchword.runtime.known import known
from watchword.runtime.outbox import OutboxRow
from watchword.runtime.postgres import AWAY, Connection, Pool, is_away
from watchword.runtime.sealing import Key
from watchword.runtime.telling import Teller

EVERY_S = 0.005
_STORED = Accepted(202, b"{}")


class Faulty(Exception):
    """A request that cannot be carried out, though it was let in: a defect of ours. Its batch is tried one by one."""


# Errors that one request brings upon its batch; each is then tried alone. A lock that cannot be had is one of them.
_ONE_OF_MANY = (KeyHeld, asyncpg.LockNotAvailableError, Faulty)


@dataclass(frozen=True, slots=True)
class Letters:
    """Records of the Kafka door that nothing can come of: only their rows are stored, dead letters and results."""

    rows: tuple[OutboxRow, ...]


Item = Request | Letters


class Desk:
    """Decides requests. Two that touch the same rows never share a batch: the second sees what the first did."""

    def __init__(
        self,
        settings: IntakeSettings,
        *,
        pool: Pool,
        clock: DatabaseClock,
        keyring: Keyring,
        teller: Teller,
        metrics: IntakeMetrics,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._subjects = Subjects(keyring)
        self._teller = teller
        self._metrics = metrics
        self._waiting_of: dict[str, int] = {}
        self._coalescer: Coalescer[Item, Reply] = Coalescer(
            self._flush,
            keys=_exclusive,
            batch_max=settings.batch_max,
            waiting_max=settings.waiting_max,
            isolates=_ONE_OF_MANY,
            every_s=EVERY_S,
            observe=metrics.batch_size.observe,
        )
        self._beginning = AtOnce(pool=pool, clock=clock, subjects=self._subjects, teller=teller, metrics=metrics)
        self._at_once: Coalescer[Start, Accepted | Exception | None] = Coalescer(
            self._begin_at_once,
            keys=lambda start: (),  # of two that share something the second is left to the desk
            batch_max=settings.batch_max,
            waiting_max=settings.waiting_max,
            every_s=EVERY_S,
            observe=metrics.batch_size.observe,
        )

    async def start(self) -> None:
        """Begin to decide."""
        await self._clock.refresh()
        await self._coalescer.start()
        await self._at_once.start()

    async def stop(self) -> None:
        """Decide what waits, then end."""
        await self._at_once.stop()
        await self._coalescer.stop()

    async def ask(self, request: Request) -> Reply:
        """The reply to one request, committed.

        Raises Overloaded, TimeoutError or one of `postgres.AWAY`: then it may or may not have been carried out, and
        asking again with the same idempotency key is safe. Raises Faulty if it can never be carried out.
        """
        tenant = request.asker.tenant.id
        waiting = self._waiting_of.get(tenant, 0)
        if waiting >= self._settings.tenant_waiting_max:
            raise Overloaded("too many requests of this tenant are waiting")
        self._waiting_of[tenant] = waiting + 1
        try:
            return await self._reply(request)
        except KeyHeld:
            return Refused("idempotency_in_progress", retry_after_s=1)
        finally:
            self._leave(tenant)

    async def _reply(self, request: Request) -> Reply:
        """At once if nothing stands in the way, else decided under locks; all within one deadline."""
        until_s = monotonic_s() + self._settings.deadline_s
        if isinstance(request, Start):
            begun = await self._at_once.submit(request, deadline_s=self._settings.deadline_s)
            if isinstance(begun, Exception):
                raise begun
            if begun is not None:
                return begun
        return await self._coalescer.submit(request, deadline_s=until_s - monotonic_s())

    async def _begin_at_once(self, starts: Sequence[Start]) -> Sequence[Accepted | Exception | None]:
        try:
            return await self._beginning.begin(starts)
        except Exception as error:
            if is_away(error):
                raise
            return [None] * len(starts)  # one of them is at fault; which one comes out when each is tried alone

    async def bury(self, letters: Letters) -> None:
        """Store the rows of records that nothing can come of. Raises as `ask` does."""
        await self._coalescer.submit(letters, deadline_s=self._settings.deadline_s)

    def _leave(self, tenant: str) -> None:
        left = self._waiting_of[tenant] - 1
        if left:
            self._waiting_of[tenant] = left
        else:
            del self._waiting_of[tenant]

    async def _flush(self, items: Sequence[Item]) -> list[Reply]:
        try:
            return await self._carry_out(items)
        except KeyHeld:
            raise
        except AWAY as error:
            if isinstance(error, ValueError):  # a value the driver cannot send, which it derives from InterfaceError
                raise Faulty(type(error).__name__) from error
            raise
        except Exception as error:
            raise Faulty(type(error).__name__) from error

    async def _carry_out(self, items: Sequence[Item]) -> list[Reply]:
        requests = [each for each in items if not isinstance(each, Letters)]
        rows = [row for each in items if isinstance(each, Letters) for row in each.rows]
        await self._clock.refresh()
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            rulings = await self._decide(connection, requests, rows)
            settled = await self._teller.store(connection, rows)
            reach("intake.desk.acted")
        reach("intake.desk.committed")
        self._teller.forget(settled)
        self._teller.tell_soon(rows)
        replies = [ruling.reply for ruling in rulings]
        self._metrics.tell(replies)
        answers = iter(replies)
        return [_STORED if isinstance(each, Letters) else next(answers) for each in items]

    async def _decide(self, connection: Connection, requests: Sequence[Request], rows: list[OutboxRow]) -> list[Ruling]:
        """Lock, decide, write; the events of what changed are added to `rows`."""
        if not requests:
            return []
        requests = await _known_pass(connection, requests)
        found = await store.hold(connection, requests, self._subjects.shown)
        asked = [
            (request, replace(each, limits=limits_for(request, each.standing)))
            for request, each in zip(requests, found, strict=True)
        ]
        tats_us = await store.hold_buckets(connection, {limit.key for _, each in asked for limit in each.limits})
        reach("intake.desk.gathered")
        now = self._clock.now()
        buckets = Buckets(tats_us, to_us(now))
        rulings = decide_all(asked, buckets, now)
        done = await self._sealed(connection, rulings)
        causes = [cause_of(request) for request in requests]
        told = await store.carry_out(connection, list(zip(causes, done, strict=True)), buckets.changed())
        rows.extend(acting.outbox_row(each, "intake", now) for each in told)
        return rulings

    async def _sealed(self, connection: Connection, rulings: Sequence[Ruling]) -> list[Done]:
        """What the rulings write, the rows of new verifications completed with what only this worker can seal."""
        begun = [ruling.begun for ruling in rulings if ruling.begun is not None]
        fresh = self._subjects.new_keys({(each.asker.tenant.id, each.number_token) for each in begun})
        keys = await store.subjects(connection, fresh)
        return [
            ruling.done
            if ruling.begun is None
            else completed(ruling.done, self._subjects.sealed(ruling.begun, self._data_key(ruling.begun, keys)))
            for ruling in rulings
        ]

    def _data_key(self, request: Start, keys: Mapping[Subject, bytes]) -> Key:
        subject = request.asker.tenant.id, request.number_token
        return self._subjects.data_key(keys[subject], subject)


async def _known_pass(connection: Connection, requests: Sequence[Request]) -> list[Request]:
    """The requests, those for a blocked destination let through to fraud if the number is a known user's."""
    stopped = [each for each in requests if isinstance(each, Start) and each.blocked]
    passing = await known(connection, [(each.asker.tenant.id, each.number_token) for each in stopped])
    return [
        msgspec.structs.replace(each, blocked=False)
        if isinstance(each, Start) and each.blocked and (each.asker.tenant.id, each.number_token) in passing
        else each
        for each in requests
    ]


def _exclusive(item: Item) -> Iterable[Hashable]:
    return () if isinstance(item, Letters) else touched(item)


def completed(done: Done, sealed: tuple[bytes, bytes | None]) -> Done:
    """`done` with the sealed number and own code as the last columns of the verification that begins."""
    return Done(
        tuple(
            type(each)(each.statement, each.key, (*each.row, *sealed), each.emits)
            if each.statement == "begin"
            else each
            for each in done.writes
        ),
        done.emits,
    )
