"""Brings a database to the schema this version of the code expects.

A migration is a file `NNNN_pre_<name>.sql` or `NNNN_post_<name>.sql`: `pre` is safe while older code still runs
(it only adds), `post` is for when none does (it takes away). Each is one transaction, so it either happened or it
did not; once applied anywhere it never changes.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg

from watchword.runtime.postgres import statements

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
_FILE_NAME = re.compile(r"(\d{4})_(?:pre|post)_[a-z0-9_]+")
_SQL = statements("watchword.runtime", "migrations.sql")
_CONNECT_TIMEOUT_S = 10.0
_TURN_TIMEOUT_S = 120.0
_FILE_TIMEOUT_S = 600.0

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class MigrationError(RuntimeError):
    """The database was left as the last whole migration made it. The text says which file is wrong, and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name without the suffix, its SQL and the SHA-256 of its bytes in hex."""

    version: int
    name: str
    sql: str
    digest: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What a database remembers of a migration it has had."""

    version: int
    name: str
    digest: str


def read(directory: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """The migrations of `directory` in order. Raises MigrationError on a misnamed file or a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.stem)
        if named is None:
            raise MigrationError(f"{path.name}: a migration is called NNNN_pre_<name>.sql or NNNN_post_<name>.sql")
        content, version = path.read_bytes(), int(named[1])
        if version in found:
            raise MigrationError(f"{path.name}: number {version} is taken by {found[version].name}.sql")
        found[version] = Migration(version, path.stem, content.decode(), hashlib.sha256(content).hexdigest())
    return tuple(found.values())


def pending(known: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Those of `known` that are still to be applied, in order. Pure.

    A database may be ahead of us: an older version of the code starts beside a newer one. Raises MigrationError if
    a file differs from what was applied under its number, or would have to run before one that has already run.
    """
    digests = {each.version: each.digest for each in applied}
    reached = max(digests, default=0)
    for migration in known:
        if digests.get(migration.version, migration.digest) != migration.digest:
            raise MigrationError(
                f"{migration.name}.sql has changed since it was applied. Put it back as it was, "
                "and make the change in a new migration."
            )
        if migration.version not in digests and migration.version < reached:
            raise MigrationError(
                f"{migration.name}.sql comes before number {reached}, which is already applied. Give it a number "
                f"above {reached}."
            )
    return tuple(migration for migration in known if migration.version not in digests)


async def migrate(dsn: str, directory: Path = MIGRATIONS) -> list[str]:
    """Applies what is pending and answers the names of what it applied, in order.

    Several may start at once on one database: one applies, the others wait up to two minutes and find nothing to
    do. Raises MigrationError, or asyncpg's errors and OSError if the database cannot be reached.
    """
    known = read(directory)
    async with _turn(dsn) as connection:
        rows = await connection.fetch(_SQL["applied"])
        todo = pending(known, [Applied(**row) for row in rows])
        for migration in todo:
            await _apply(connection, migration)
    return [migration.name for migration in todo]


async def level(dsn: str) -> int:
    """The number of the last migration the database has had; 0 if it never had one."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, command_timeout=_CONNECT_TIMEOUT_S)
    try:
        return int(await connection.fetchval(_SQL["level"]))
    except asyncpg.UndefinedTableError:
        return 0
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


def expected_level(directory: Path = MIGRATIONS) -> int:
    """The number of the last migration this version of the code knows; a database below it is too old for it."""
    return max((migration.version for migration in read(directory)), default=0)


@asynccontextmanager
async def _turn(dsn: str) -> AsyncIterator[Connection]:
    """A connection that alone migrates this database. The lock goes with the connection, however that ends."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        try:
            await connection.execute(_SQL["begin"], timeout=_TURN_TIMEOUT_S)
        except TimeoutError as late:
            raise MigrationError(f"another start has been migrating for {_TURN_TIMEOUT_S:g} s") from late
        await connection.execute(_SQL["prepare"], timeout=_CONNECT_TIMEOUT_S)
        await connection.execute(_SQL["limit_waits"], timeout=_CONNECT_TIMEOUT_S)
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=_FILE_TIMEOUT_S)
            await connection.execute(
                _SQL["record"], migration.version, migration.name, migration.digest, timeout=_CONNECT_TIMEOUT_S
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}.sql: {error}") from error
