"""Finding and deleting the data key of one number, tenant by tenant."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from watchword.kernel.secret import Phone
from watchword.runtime.configuration import SQL as CONFIGURATION
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.postgres import columns, connect, statements
from watchword.runtime.sealing import derived, token

_SQL = statements("watchword.erasure")


@dataclass(frozen=True, slots=True)
class By:
    """Who erases, and why."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A tenant's data key of the number, and since when there is one."""

    tenant: str
    since: datetime


async def erase(dsn: str, keyring: Keyring, number: Phone, only: str, by: By | None) -> list[Kept]:
    """Delete the number's data keys of the tenant `only`, "" for every tenant; answers what was there. Without `by`
    nothing is deleted. Raises KeyError for a tenant there never was, and what Postgres raises."""
    pool = await connect(dsn, worker="operator", connections_max=1)
    try:
        rows = await pool.fetch(CONFIGURATION["latest"])
        tenants = {row["id"] for row in rows if row["kind"] == "tenant"}
        if only and only not in tenants:
            raise KeyError(only)
        names = columns([(each, name) for each in sorted({only} if only else tenants)
                         for name in tokens(keyring, each, number)], 2)  # fmt: skip
        if by is None:
            found = await pool.fetch(_SQL["kept"], *names)
        else:
            found = await pool.fetch(_SQL["erase"], *names, by.reason, by.who)
    finally:
        await pool.close()
    return [Kept(row["tenant"], row["created_at"]) for row in found]


def tokens(keyring: Keyring, tenant: str, number: Phone) -> Iterable[str]:
    """Every name that the number can have in a tenant's rows, whichever key it was made under."""
    for key in keyring.opening(Purpose.NUMBER_TOKEN):
        yield token(derived(key, Purpose.NUMBER_TOKEN, tenant), number.reveal())
