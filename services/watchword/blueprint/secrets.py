"""First secrets of a new installation: a settings file and a keyring for each process, and the passwords of logins.

Every file is one secret of compose.yaml, or one key of a Secret in Kubernetes. A worker's keyring holds the purposes
that it names and no other.
"""

import json
from collections.abc import Callable, Mapping

from watchword.blueprint.environment import KEYRING_FILE, SETTINGS_FILE
from watchword.blueprint.postgres import OWNER
from watchword.blueprint.workloads import OPERATORS, kafka_user, login_of, workloads
from watchword.runtime.keyring import OF_TOOLS, Purpose

OWNERS = "owner"
SUPERUSER = "postgres-superuser"
PASSWORDS = "passwords.sql"
KAFKA_USERS = "kafka-users.txt"
# The owner of the database creates topics too: it is who rolls a version out.
OWNERS_KAFKA = "topics"


def first_secrets(keyring: str, *, draw: Callable[[], str], database: str) -> dict[str, str]:
    """The text of every file by its path. `keyring` is a whole keyring file; `draw` answers a new password each time,
    of letters and digits; `database` is host:port/name."""
    files: dict[str, str] = {SUPERUSER: draw()}
    passwords: dict[str, str] = {}
    users: dict[str, str] = {}
    for name in _processes():
        login = OWNER if name == OWNERS else login_of(name)
        user = kafka_user(OWNERS_KAFKA if name == OWNERS else name)
        passwords[login], users[user] = draw(), draw()
        files[f"{name}/{SETTINGS_FILE}"] = _settings(f"{login}:{passwords[login]}@{database}", user, users[user])
    files |= {f"{name}/{KEYRING_FILE}": text for name, text in keyrings(keyring).items()}
    files[PASSWORDS] = "".join(f"ALTER ROLE {login} PASSWORD '{word}';\n" for login, word in passwords.items())
    files[KAFKA_USERS] = "".join(f"{user} {word}\n" for user, word in users.items())
    return files


def keyrings(whole: str) -> dict[str, str]:
    """The keyring of each process: what of the whole its purposes name."""
    told = json.loads(whole)
    return {
        name: json.dumps({**told, "keys": [key for key in told["keys"] if key["purpose"] in purposes]}, indent=1) + "\n"
        for name, purposes in held().items()
    }


def held() -> Mapping[str, frozenset[Purpose]]:
    """The purposes that the keyring of each process holds, of workers and of people's tools."""
    return {**{load.name: load.purposes() for load in workloads()}, **OF_TOOLS}


def _processes() -> list[str]:
    return [OWNERS, *(load.name for load in workloads()), *OPERATORS]


def _settings(postgres: str, user: str, password: str) -> str:
    return f'postgres = "postgresql://{postgres}"\nkafka_username = "{user}"\nkafka_password = "{password}"\n'
