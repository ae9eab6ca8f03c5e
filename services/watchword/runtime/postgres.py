"""Connections to Postgres: one small pool a worker, under the worker's own role, every statement with a limit."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, TypeAlias

import asyncpg
import orjson

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 4_000
COMMAND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0

# asyncpg's own exceptions for a server that is away, going away or refusing; with OSError and TimeoutError they
# mean "try again later", never "this input is wrong". A server that dies in the middle of an answer leaves the
# driver's connection in a state from which the next statement fails with an InternalClientError. Classes 53, 57 and
# 58 of PostgreSQL's error codes (appendix A of its manual) are about the server's own state: a full disk, memory or
# connections used up, a shutdown, a file it cannot read. A session that stood still in a transaction was ended; a
# server that takes no writes is about to be replaced by one that does.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    OSError,
    TimeoutError,
)

# Of these, what may be about some rows of a batch or its size, so that less at once can help: a row that somebody holds
# and does not let go of, a statement that runs out of its time.
TOO_MUCH_AT_ONCE = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError)

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# The path reads by key only. While a partition is young its statistics say "empty" and the planner would scan it;
# a plan made then outlives the emptiness, so scans are taken off the menu. One plan a statement is kept for good:
# for an array of one the server would find a plan of its own cheaper, and so make one, which costs more than the work,
# every single time.
# No partition is left out while a statement runs: PostgreSQL 18.6 crashes in finding out which may be, where statements
# that change several partitioned tables change the same rows at the same time (decision 0059). To look into one small
# index for each of a few weeks costs about as much.
_PATH_SETTINGS = {
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": "15000",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_partition_pruning": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
}


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the server is away, rather than that a value does not fit its column: asyncpg
    tells the latter as an InterfaceError that is a ValueError too."""
    return isinstance(error, AWAY) and not isinstance(error, ValueError)


def role_of(worker: str) -> str:
    """The database role of a worker."""
    return f"watchword_{worker}"


async def connect(dsn: str, *, worker: str, connections_max: int = 4) -> Pool:
    """A pool whose connections act under the worker's role.

    Raises one of `AWAY` when the server cannot be reached, asyncpg.InvalidParameterValueError when the login is
    not a member of the role.
    """
    pool = asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=connections_max,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        max_inactive_connection_lifetime=300,
        init=_teach_json,
        reset=_as_it_is,
        server_settings={"application_name": f"watchword-{worker}", "role": role_of(worker), **_PATH_SETTINGS},
    )
    return await pool


async def _as_it_is(connection: Any) -> None:
    """What a connection needs when it is given back beyond its transaction's end, which the pool sees to: nothing.
    Whatever a statement sets here, it sets for its transaction alone. The driver's own answer is one more round trip
    a batch."""


async def _teach_json(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: orjson.dumps(value).decode(),
        decoder=orjson.loads,
        schema="pg_catalog",
    )


def statements(package: str, file: str = "store.sql") -> Mapping[str, str]:
    """The named statements of `package`'s SQL file: `-- name: issue` begins the statement `issue`.

    Raises ValueError on a name that stands twice or text before the first name.
    """
    text = resources.files(package).joinpath(file).read_text("utf-8")
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ").strip()
            if name in found:
                raise ValueError(f"{package}/{file}: statement {name!r} stands twice")
            found[name] = []
        elif name:
            found[name].append(line)
        elif line.strip() and not line.startswith("--"):
            raise ValueError(f"{package}/{file}: SQL before the first '-- name:' line")
    return {name: "\n".join(lines).strip().rstrip(";") for name, lines in found.items()}


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into `width` column arrays, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
