"""deploy/postgres/roles.sql: who may log in, and as whom they act."""

from watchword.blueprint.workloads import OPERATORS, login_of, workloads
from watchword.runtime.postgres import role_of

OWNER = "watchword_owner"

_HEAD = """\
-- Logins and roles, made from services/watchword/flow.py by `make flow`. Run it once as superuser, in the database of
-- Watchword and before the first `watchword migrate`; running it again changes nothing. Passwords are not its
-- business: ALTER ROLE ... PASSWORD, or certificates.
--
-- A role holds rights and cannot log in; the migrations grant them. A login holds nothing: it may only act as its
-- role, which a worker does from its first statement on.
"""

_MAKE = """
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT * FROM (VALUES
{rows}
    ) AS wanted (name, attributes) LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = made.name) THEN
            EXECUTE format('CREATE ROLE %I %s', made.name, made.attributes);
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO {owner}', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO {logins}', current_database());
END $$;
"""


def roles_sql() -> str:
    """The whole file."""
    memberships = {load.login: load.role for load in workloads()} | {
        login_of(name): role_of(name) for name in OPERATORS
    }
    roles = sorted(set(memberships.values()))
    # Migrations make roles that are not there yet, hence CREATEROLE; it reaches no role that somebody else made.
    wanted = [(OWNER, "LOGIN CREATEROLE"), *((role, "NOLOGIN") for role in roles)]
    wanted += [(login, "LOGIN NOINHERIT") for login in memberships]
    rows = ",\n".join(f"        ('{name}', '{attributes}')" for name, attributes in wanted)
    text = _HEAD + _MAKE.format(rows=rows, owner=OWNER, logins=", ".join(memberships))
    text += "\n-- A worker's login acts as its role and as nothing else.\n"
    text += "".join(
        f"GRANT {role} TO {login} WITH INHERIT FALSE, SET TRUE;\n"
        for login, role in memberships.items()
        if login not in {login_of(name) for name in OPERATORS}
    )
    text += "\n-- Persons log in with these: the rights are there without a SET ROLE.\n"
    text += "".join(f"GRANT {role_of(name)} TO {login_of(name)} WITH INHERIT TRUE, SET TRUE;\n" for name in OPERATORS)
    return text + f"ALTER ROLE {login_of('audit')} SET default_transaction_read_only = on;\n"
