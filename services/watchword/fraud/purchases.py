"""The money of a batch: its counters held under lock before anything is decided, and what is told of them since."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from watchword.events.resend_requested import ResendRequested
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide.money import Counter, Purchase, Purse, counters_of, price_of
from watchword.fraud.metrics import SpendingMetrics
from watchword.runtime.configuration import Configuration
from watchword.runtime.postgres import Connection, Pool, columns, statements

SETTLED_A_TURN_MAX = 1_000
LOOKED_AT_AGAIN = timedelta(seconds=30)
SPENDING_KEPT = timedelta(days=35)
THRESHOLDS_PERCENT = (50, 80, 100)

log = structlog.get_logger()
_SQL = statements("watchword.fraud")

Request = VerificationRequested | ResendRequested


async def purchases(
    connection: Connection, requests: Sequence[tuple[str, Request]], configuration: Configuration, now: datetime
) -> Mapping[str, Purchase]:
    """What each request of a batch, by its key, would buy; the counters of all of them are locked until the batch is
    committed. Empty where nothing is capped: then nothing is read either. Raises what Postgres raises."""
    caps = configuration.caps
    if not caps:
        return {}
    counted: dict[tuple[str, str, str], tuple[Counter, ...]] = {}
    asked: list[tuple[str, int, tuple[Counter, ...]]] = []
    for key, event in requests:
        scope = (event.tenant, event.country, event.asked_by)
        if scope not in counted:
            tenant, country, api_key = scope
            counted[scope] = counters_of(caps, tenant=tenant, country=country, api_key=api_key, now=now)
        asked.append((key, price_of(configuration.prices_micros, event.country), counted[scope]))
    purse = Purse(await _held(connection, {each.key: each for some in counted.values() for each in some}))
    return {key: Purchase(price, counters, purse) for key, price, counters in asked if price and counters}


async def _held(connection: Connection, counters: Mapping[str, Counter]) -> dict[str, int]:
    if not counters:
        return {}
    rows = [(each.key, each.cap, each.window, each.ends_at, each.limit_micros) for each in counters.values()]
    held = await connection.fetch(_SQL["hold_spending"], *columns(rows, 5))
    return {row["counter"]: row["used_micros"] for row in held}


class Spending:
    """What happens to money between batches: left-over reservations are settled, shares of caps told. Any number of
    processes may do it at once."""

    def __init__(self, pool: Pool, metrics: SpendingMetrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._shown: set[str] = set()

    async def watch(self) -> None:
        """Tell what passed 50, 80 or 100 per cent of a cap, each once, and how full every cap is. Raises what Postgres
        raises."""
        async with self._pool.acquire(timeout=5) as connection:
            passed = await connection.fetch(_SQL["alarm"])
            used = await connection.fetch(_SQL["used"])
        for row in passed:
            for percent in THRESHOLDS_PERCENT:
                if row["before"] < percent <= row["alarmed"]:
                    self._metrics.alarms.add(cap=_label(row), state=str(percent))
                    log.warning(
                        "fraud.cap_passed",
                        cap=row["cap"],
                        counter=row["counter"],
                        percent=percent,
                        used_micros=row["used_micros"],
                        limit_micros=row["limit_micros"],
                        refused=row["refused"],
                    )
        now = {_label(row): row["share"] for row in used}
        for cap in sorted({*now, *self._shown}):
            self._metrics.used.set(now.get(cap, 0.0), cap=cap)
        self._shown = set(now)

    async def settle(self) -> None:
        """Settle sends whose verification is long over, should its ending have come before its last attempt's; forget
        counters of last month. Raises what Postgres raises."""
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            overdue = await connection.fetch(_SQL["overdue_reservations"], SETTLED_A_TURN_MAX, LOOKED_AT_AGAIN)
            ids: list[UUID] = sorted({row["verification_id"] for row in overdue})
            if ids:
                await connection.fetch(_SQL["settle"], ids, [0] * len(ids))
        async with self._pool.acquire(timeout=5) as connection:
            await connection.execute(_SQL["forget_spending"], SPENDING_KEPT, SETTLED_A_TURN_MAX)


def _label(row: asyncpg.Record) -> str:
    return f"{row['span']}:{row['cap']}"
