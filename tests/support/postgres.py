"""Which Postgres a test run uses, and a database of its own for every test.

Migrations run once, into a template; a test's database is a copy of it and dropped afterwards. Roles belong to the
server and are shared by all. Nobody kills the shared server, so it need not reach the disk; tests that kill one start
their own, as safe as in production.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from watchword.local import postgres
from watchword.runtime.migrations import migrate

_TIMEOUT_S = 30.0
_IN_MEMORY = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres that the whole run shares; `dsn` may create databases and roles."""

    dsn: str
    label: str


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """An empty database with every migration applied, for one test alone. `dsn` is its owner's."""

    name: str
    dsn: str


@contextmanager
def server(directory: Path) -> Iterator[Server]:
    """The Postgres in WATCHWORD_POSTGRES, or a server in `directory` for as long as the context lasts."""
    dsn = os.environ.get("WATCHWORD_POSTGRES")
    if dsn:
        yield Server(dsn, "Postgres from WATCHWORD_POSTGRES")
        return
    database = postgres.start(directory, settings=_IN_MEMORY)
    try:
        yield Server(database.dsn, database.label)
    finally:
        database.stop()


@asynccontextmanager
async def migrated_template(on: Server) -> AsyncIterator[FreshDatabase]:
    """A database with every migration applied, to copy from. Nobody may stay connected to it."""
    async with empty_database(on) as template:
        await migrate(template.dsn)
        yield template


@asynccontextmanager
async def empty_database(on: Server, *, template: str = "template0") -> AsyncIterator[FreshDatabase]:
    """A copy of `template` under a name of its own, dropped afterwards whoever is still connected."""
    name = f"watchword_{uuid.uuid4().hex[:16]}"
    await _execute(on.dsn, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield FreshDatabase(name, urlsplit(on.dsn)._replace(path=f"/{name}").geturl())
    finally:
        await _execute(on.dsn, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=_TIMEOUT_S)
    finally:
        await connection.close(timeout=_TIMEOUT_S)
