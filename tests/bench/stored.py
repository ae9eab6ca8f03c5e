"""Filling a database with verifications that are over, so that what is measured is not measured on an empty one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from watchword.kernel.policy import Policy
from watchword.runtime.postgres import statements

SPAN = timedelta(days=6)  # tables are cut by week and the week before is always there
ROWS_A_STATEMENT = 50_000
STATEMENT_TIMEOUT_S = 600.0
_SQL = statements("tests.bench", "stored.sql")


class Store:
    """Grows one database to sizes up to `most`. The rows are the same in every run but for their times."""

    def __init__(self, dsn: str, *, most: int, say: Callable[[str], None] = lambda line: None) -> None:
        self._dsn = dsn
        self._step_ms = SPAN / timedelta(milliseconds=1) / most
        self._began = datetime.now(UTC) - SPAN - timedelta(hours=1)
        self._say = say
        self.held = 0

    async def grow(self, count: int) -> None:
        """Store more until there are `count` verifications of ours; then vacuum, so that nothing is put off."""
        rules = msgspec.json.encode(Policy(id="load", tenant="demo", template="default")).decode()
        connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=STATEMENT_TIMEOUT_S)
        try:
            await connection.execute("SET synchronous_commit = off")
            while self.held < count:
                last = min(self.held + ROWS_A_STATEMENT, count) - 1
                await connection.execute(_SQL["store"], self.held, last, self._began, self._step_ms, rules)
                self.held = last + 1
                self._say(f"{self.held:,} verifications stored")
            await connection.execute(_SQL["settle"])
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close(timeout=10)
