"""Whoever reads what is wrong with a server learns whether it is away or refuses them."""

import asyncpg
import pytest

from watchword.__main__ import _told
from watchword.operations.refusals import of_postgres


@pytest.mark.parametrize(
    ("error", "told", "fix"),
    [
        (ConnectionRefusedError(), "does not answer", "start Postgres"),
        (TimeoutError(), "does not answer", "start Postgres"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "does not answer", "start Postgres"),
        (asyncpg.InvalidPasswordError("password authentication failed"), "refuses the login", "user and password"),
        (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"), "refuses the login", "user and"),
        (asyncpg.InvalidCatalogNameError('database "x" does not exist'), "without our database", "name in"),
        (asyncpg.InsufficientPrivilegeError("permission denied for table codes"), "this login", "deploy/TOOLS.md"),
        (asyncpg.InvalidParameterValueError("role"), "this login", "deploy/TOOLS.md"),
        (asyncpg.UndefinedColumnError("column x does not exist"), "UndefinedColumnError", "log of Postgres"),
    ],
    ids=lambda told: type(told).__name__ if isinstance(told, Exception) else None,
)
def test_what_refuses_us_is_never_told_as_away(error: Exception, told: str, fix: str) -> None:
    said, mends = of_postgres(error)
    assert told in said and fix in mends
    assert ("start Postgres" in mends) == ("does not answer" in said)


def test_a_command_under_the_wrong_login_ends_with_the_line_that_mends_it() -> None:
    ended = _told(asyncpg.InsufficientPrivilegeError("permission denied for table configuration"))
    assert ended is not None and ended[0] == 1
    wrong, fix = ended[1].splitlines()
    assert wrong == "Postgres refuses this login something: permission denied for table configuration"
    assert fix.startswith("fix: use the login that may")
    assert _told(KeyError("a bug")) is None
