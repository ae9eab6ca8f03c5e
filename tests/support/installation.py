"""An installation as deploy/ describes it: a login, a Kafka user and a part of the keyring for each process."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.support import postgres
from watchword.blueprint import secrets
from watchword.runtime import keyring
from watchword.runtime.migrations import migrate

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "deploy" / "postgres" / "roles.sql"
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Where its secrets lie and who owns what. `dsn` is the superuser's."""

    dsn: str
    folder: Path
    whole_keyring: Path

    def settings(self, process: str) -> dict[str, Any]:
        """What the settings file of a worker, `owner`, `operator` or `audit` says, and where its keyring is."""
        told = tomllib.loads((self.folder / process / "watchword.toml").read_text("utf-8"))
        return {**told, "keyring": str(self.folder / process / "keyring.json")}

    def login(self, process: str) -> str:
        """How a process reaches the database."""
        return str(self.settings(process)["postgres"])

    def kafka_users(self) -> dict[str, str]:
        """Passwords by Kafka user."""
        lines = (self.folder / secrets.KAFKA_USERS).read_text("utf-8").splitlines()
        return {user: password for user, _, password in (line.partition(" ") for line in lines)}


@asynccontextmanager
async def installed(server: postgres.Server, directory: Path) -> AsyncIterator[Installation]:
    """A database set up in the order of deploy/README.md: roles.sql, passwords, migrations as their owner."""
    whole, folder = directory / "whole.json", directory / "secrets"
    keyring.create(whole, datetime.now(UTC))
    async with postgres.empty_database(server) as fresh:
        place = urlsplit(fresh.dsn)
        # Logins belong to the server and other tests use them too, so the password is always the same.
        files = secrets.first_secrets(
            whole.read_text("utf-8"),
            draw=lambda: "drawn-for-tests",
            database=f"{place.hostname}:{place.port}/{fresh.name}",
        )
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o640)
            path.write_text(text, "utf-8")
        made = Installation(fresh.dsn, folder, whole)
        await _execute(fresh.dsn, ROLES.read_text("utf-8"))
        await _execute(fresh.dsn, files[secrets.PASSWORDS])
        await migrate(made.login("owner"))
        yield made


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
    try:
        await connection.execute(statements, timeout=_TIMEOUT_S)
    finally:
        await connection.close(timeout=_TIMEOUT_S)
