"""Connections to the simulated Postgres, as asyncpg's: they break on the way there, where nothing was done, and on the
way back, where it was."""

import asyncio
from types import TracebackType
from typing import Any, Self

import asyncpg

from tests.simulation.loop import OWNER, Owner, use_port
from tests.simulation.tables import Database, Open, Row

CONNECTIONS_MAX = 4


class Connection:
    """One connection of a pool, as asyncpg's. Outside a transaction every statement is one."""

    def __init__(self, database: Database, owner: Owner) -> None:
        self._database = database
        self._owner = owner
        self._transaction: Open | None = None
        self.broken = False

    def transaction(self) -> "Transaction":
        """`async with` it."""
        return Transaction(self)

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        """The rows of one statement. Raises what asyncpg raises when the connection breaks before or after it."""
        await self._reach()
        transaction = self._transaction or self._database.begin(self._owner)
        alone = self._transaction is None
        try:
            found = await self._database.run(transaction, query, arguments)
        except BaseException:
            self._database.end(transaction, commit=False)
            raise
        if alone:
            self._database.end(transaction, commit=True)
        await self._return()
        return found

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        """The first row."""
        found = await self.fetch(query, *arguments)
        return found[0] if found else None

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The first value of the first row."""
        found = await self.fetchrow(query, *arguments)
        return None if found is None else next(iter(found.values()))

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:
        """For what it does."""
        return f"OK {len(await self.fetch(query, *arguments))}"

    async def _reach(self) -> None:
        """The way there. A connection that breaks has done nothing."""
        await self._database.travel()
        self._living()
        if self.broken or self._database.breaks():
            self._break()

    async def _return(self) -> None:
        """The way back. A connection that breaks here has done what it was asked, and nobody hears of it."""
        await self._database.travel()
        self._living()
        if self._database.breaks():
            self._break()

    def _living(self) -> None:
        try:
            use_port(self._owner)
        except asyncio.CancelledError:
            self._end(commit=False)
            raise

    def _break(self) -> None:
        self.broken = True
        self._end(commit=False)
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def _begin(self) -> None:
        self._transaction = self._database.begin(self._owner)

    def _end(self, *, commit: bool) -> None:
        if self._transaction is not None:
            self._database.end(self._transaction, commit=commit)
            self._transaction = None

    async def _commit(self) -> None:
        await self._reach()
        if self._transaction is None or self._transaction.over:
            self._break()
        self._end(commit=True)
        await self._return()


class Transaction:
    """One transaction of a connection: committed unless it is left with an error."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> Self:
        self._connection._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            await self._connection._commit()
        else:
            self._connection._end(commit=False)


class Lent:
    """One connection for a while."""

    def __init__(self, database: Database, room: asyncio.Semaphore, timeout_s: float | None) -> None:
        self._database = database
        self._room = room
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Connection:
        if self._room.locked():
            async with asyncio.timeout(self._timeout_s):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            owner = OWNER.get()
            use_port(owner)
            if self._database.is_away:
                raise ConnectionRefusedError("the server is away")
        except BaseException:
            self._room.release()
            raise
        return Connection(self._database, owner)

    async def __aexit__(self, *_: object) -> None:
        self._room.release()


class Pool:
    """A few connections; a broken one is replaced when it is given back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    def acquire(self, *, timeout: float | None = None) -> "Lent":
        """A connection, within `timeout`. `async with` it."""
        return Lent(self._database, self._room, timeout)

    async def fetch(self, query: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        """One statement on any connection."""
        async with self.acquire(timeout=5) as connection:
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        """One statement on any connection, its first row."""
        async with self.acquire(timeout=5) as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any, timeout: float | None = None) -> Any:
        """One statement on any connection, its first value."""
        async with self.acquire(timeout=5) as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:
        """One statement on any connection."""
        async with self.acquire(timeout=5) as connection:
            return await connection.execute(query, *arguments)
