"""Claims and results of deliveries: claimed and committed before the call, results written together after it."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import structlog

from watchword.callbacks.decide.conclude import Claim, Ending, Result, record
from watchword.callbacks.metrics import CallbacksMetrics
from watchword.callbacks.store import RESULTS, SQL, claim_of, facts_of, late_of
from watchword.kernel.tenancy import Endpoint
from watchword.runtime import acting
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.coalesce import Coalescer, Overloaded
from watchword.runtime.failpoints import reach
from watchword.runtime.postgres import AWAY, Pool
from watchword.runtime.telling import Teller

log = structlog.get_logger()

WRITE_DEADLINE_S = 10.0
LATE_GRACE = timedelta(minutes=1)
ROWS_MAX = 500


class Ledger:
    """What callbacks remembers of its calls. A result that cannot be written is lost: the lease ends, and the
    endpoint is told again under the same webhook-id."""

    def __init__(self, pool: Pool, clock: DatabaseClock, teller: Teller, metrics: CallbacksMetrics) -> None:
        self._pool = pool
        self._clock = clock
        self._teller = teller
        self._metrics = metrics
        self._results: Coalescer[Result, None] = Coalescer(
            self._write,
            keys=lambda result: (result.claim.verification_id,),
            observe=lambda size: metrics.batch_size.observe(size),
        )

    async def start(self) -> None:
        """Begin to write results."""
        await self._results.start()

    async def stop(self) -> None:
        """Write what waits."""
        await self._results.stop()

    async def claim(self, rooms: Sequence[tuple[Endpoint, int]], *, most: int, lease_s: float) -> list[Claim]:
        """Due deliveries of these endpoints, as many of each as there is room, committed as ours. Raises what
        Postgres raises."""
        if not rooms or most < 1:
            return []
        columns = (
            [endpoint.tenant for endpoint, _ in rooms],
            [endpoint.id for endpoint, _ in rooms],
            [endpoint.version for endpoint, _ in rooms],
            [room for _, room in rooms],
        )
        rows = await self._pool.fetch(SQL["claim"], *columns, most, timedelta(seconds=lease_s), timeout=5)
        if rows:
            reach("callbacks.claimed")
        return [claim_of(row) for row in rows]

    async def conclude(self, result: Result) -> bool:
        """Write one result, together with those that come at the same time; answers whether it is written."""
        try:
            await self._results.submit(result, deadline_s=WRITE_DEADLINE_S)
        except (*AWAY, Overloaded) as error:
            log.warning("callbacks.result_lost", error=type(error).__name__)
            return False
        return True

    async def shelve(self, endpoints: Sequence[Endpoint]) -> None:
        """Put aside what is due at endpoints that are not called: disabled ones, and of the others those that said
        they are gone. Raises what Postgres raises."""
        called = [one for one in endpoints if not one.disabled]
        gone = await self._pool.fetch(
            SQL["gone_endpoints"],
            [one.tenant for one in called],
            [one.id for one in called],
            [one.version for one in called],
            timeout=5,
        )
        silent = [(row["tenant"], row["endpoint"]) for row in gone]
        silent += [(one.tenant, one.id) for one in endpoints if one.disabled]
        if silent:
            tenants, names = [tenant for tenant, _ in silent], [name for _, name in silent]
            await self._pool.execute(SQL["shelve"], tenants, names, ROWS_MAX, timeout=5)

    async def give_up_late(self) -> None:
        """End what is past its schedule and waits for an endpoint that is left alone, or is no more."""
        for row in await self._pool.fetch(SQL["late"], LATE_GRACE, ROWS_MAX, timeout=5):
            claim, answer = late_of(row)
            await self.conclude(Result(claim, answer, Ending.GAVE_UP))

    async def oldest_due_s(self, endpoints: Sequence[Endpoint]) -> float:
        """For how long the oldest due delivery has been due. Raises what Postgres raises."""
        names = ([one.tenant for one in endpoints], [one.id for one in endpoints])
        return float(await self._pool.fetchval(SQL["oldest_due"], *names, timeout=5))

    async def _write(self, results: Sequence[Result]) -> Sequence[None]:
        await self._clock.refresh()
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            ended = [each.claim.verification_id for each in results if each.ending is not None]
            held = await connection.fetch(SQL["hold"], ended) if ended else []
            about = {row["verification_id"]: facts_of(row) for row in held}
            done = [(acting.Cause(), record(each, about.get(each.claim.verification_id))) for each in results]
            told = await acting.write(connection, done, RESULTS)
            named = {each.claim.key: str(each.claim.event_id) for each in results}
            caused = [msgspec.structs.replace(one, cause=acting.Cause(named.get(one.emit.subject, ""))) for one in told]
            rows = [acting.outbox_row(one, "callbacks", self._clock.now()) for one in caused]
            settled = await self._teller.store(connection, rows)
            reach("callbacks.concluding")
        reach("callbacks.concluded")
        self._teller.forget(settled)
        self._teller.tell_soon(rows)
        return [None] * len(results)
