"""What an error of a server says: that it is away, or that it is there and refuses us. What mends one does not mend the
other, so the two are never told alike. Pure."""

import asyncpg

from watchword.runtime.postgres import is_away

WHICH_LOGIN = "deploy/TOOLS.md tells which login each command takes"
_WRONG_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError)


def of_postgres(error: BaseException) -> tuple[str, str]:
    """What is wrong, and what mends it, of an error that asyncpg, the driver's socket or a deadline raised."""
    if isinstance(error, _WRONG_LOGIN):
        return f"refuses the login: {error}", "correct user and password in WATCHWORD_POSTGRES"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"is there without our database: {error}", "correct the name in WATCHWORD_POSTGRES, or create it"
    if isinstance(error, asyncpg.InvalidParameterValueError | asyncpg.InsufficientPrivilegeError):
        return f"refuses this login something: {error}", f"use the login that may: {WHICH_LOGIN}"
    if is_away(error):
        return f"does not answer: {type(error).__name__}", "start Postgres, or correct WATCHWORD_POSTGRES"
    return f"answers with {type(error).__name__}: {error}", "see the log of Postgres"
